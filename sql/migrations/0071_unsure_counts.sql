-- What may have been counted and was not: the first reading of a series that may be growth or may be older, and a counter that
-- may have restarted together with another one. Nothing of it is in the counts, and all of it is in the bounds. What was told
-- at an edge happened before it, so that a hole holds its end and not its beginning.
ALTER TABLE objective_holes
  ADD COLUMN told boolean NOT NULL DEFAULT true,
  DROP CONSTRAINT objective_holes_pkey,
  ADD CONSTRAINT objective_holes_pkey PRIMARY KEY (objective, ends, starts, told);
DROP INDEX objective_holes_cut;
CREATE INDEX objective_holes_cut ON objective_holes USING gist (objective, tstzrange(starts, ends, '(]'));
CREATE INDEX objective_holes_untold ON objective_holes (objective, ends) WHERE NOT told;
