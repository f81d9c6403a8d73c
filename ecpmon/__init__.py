"""ecpmon: a multi-tenant SLA monitor for AI contact-centre services."""
