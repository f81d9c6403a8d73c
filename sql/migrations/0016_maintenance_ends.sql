-- Recurring maintenance may end without taking back what has been; and who agreed to it may be somebody else than who
-- entered it.
ALTER TABLE maintenance
  ADD COLUMN approved_by text CHECK (approved_by ~ '\S'),
  -- Occurrences that would begin then or later do not happen.
  ADD COLUMN ends_at     timestamptz,
  ADD COLUMN ended_by    text,
  ADD CHECK ((ends_at IS NULL) = (ended_by IS NULL)),
  ADD CHECK (ends_at IS NULL OR rrule IS NOT NULL);
