-- Recurrence rules are kept to the letter of RFC 5545 (ecpmon/sla/recurrence.py). Those that there are go on as they did, or
-- closed statements would change by themselves.
ALTER TABLE maintenance ADD COLUMN by_rfc boolean NOT NULL DEFAULT false;
ALTER TABLE maintenance ALTER COLUMN by_rfc SET DEFAULT true;
