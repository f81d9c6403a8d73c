"""The only user of asyncpg: pool, migrations, named SQL, one store per aggregate."""
