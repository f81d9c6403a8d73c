-- A mark is taken away only when its generation is the one that was read (ecpmon/storage/marks.py). So a mark that is made
-- again after that must not begin where the other one did.
ALTER TABLE rollup_dirty ALTER generation SET DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
ALTER TABLE objective_marks ALTER generation SET DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
