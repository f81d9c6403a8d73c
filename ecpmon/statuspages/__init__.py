"""Status pages for a tenant's customers: links, what is read, and how it is shown."""
