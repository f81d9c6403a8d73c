-- Of response times in a rollup: what was said at instants at which nothing was answered (`roll_unanswered` in
-- sql/queries/monitoring.sql). NULL, as mostly: nothing of the kind. Rollups that were made before know nothing of it.
ALTER TABLE rollup_5m ADD COLUMN unanswered_total double precision, ADD COLUMN unanswered bigint;
ALTER TABLE rollup_1h ADD COLUMN unanswered_total double precision, ADD COLUMN unanswered bigint;
