-- Statements of quarters and years beside those of months: `month` is 2026-10, 2026-Q3 or 2026.
ALTER TABLE statements DROP CONSTRAINT statements_month_check;
ALTER TABLE statements ADD CONSTRAINT statements_month_check CHECK (month ~ '^\d{4}(-(0[1-9]|1[0-2]|Q[1-4]))?$');
