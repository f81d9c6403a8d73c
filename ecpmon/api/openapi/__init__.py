"""`/openapi.json`, made of what the routes declare (`ecpmon.api.contract`). Imported by the first who asks for it."""
