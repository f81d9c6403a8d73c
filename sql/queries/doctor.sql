-- What `ecpmon doctor` asks of a database. Of the installation, not of a tenant.
-- name: about
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS version_num,
       current_setting('max_connections')::int AS max_connections,
       pg_is_in_recovery() AS recovering,
       clock_timestamp() AS now,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescale,
       (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb') AS timescale_offered

-- name: where
-- Where the server keeps its files and since when it runs. Of the folder only a role learns that may read all settings.
SELECT (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS folder,
       current_setting('port')::int AS port, extract(epoch FROM pg_postmaster_start_time())::bigint AS began
