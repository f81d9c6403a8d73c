-- Whether anybody counts what is good or bad of an objective's total; NULL until the job has looked.
ALTER TABLE objectives ADD COLUMN part_known boolean;
