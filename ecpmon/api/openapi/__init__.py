"""What `/openapi.json` says of the API beside its routes' own declarations. Imported by the first who asks for it."""
