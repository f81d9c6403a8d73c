-- Each kind of evidence is missed as a service is (ecpmon/sla/voices.py): what is expected is a voice, of the tenant as a
-- whole as well.

-- Of a service that was heard before this, the kind that it has; if it has both, `up`.
ALTER TABLE evidence_heard ADD COLUMN metric text NOT NULL DEFAULT 'up' CHECK (metric IN ('up', 'error_rate'));
UPDATE evidence_heard h SET metric = 'error_rate'
WHERE NOT EXISTS (SELECT FROM series s WHERE s.tenant = h.tenant AND s.data_source = h.source AND s.metric_name = 'up'
                    AND s.labels->>'service' = h.component);
ALTER TABLE evidence_heard ALTER COLUMN metric DROP DEFAULT;
ALTER TABLE evidence_heard DROP CONSTRAINT evidence_heard_pkey;
ALTER TABLE evidence_heard ADD PRIMARY KEY (tenant, source, metric, component);

-- Who speaks alone is noted with its next value, and of whom several speak that is read from its samples.
UPDATE availability_heads SET noted = '1970-01-01T00:00:00Z' WHERE says IS NOT NULL;
UPDATE availability_heads SET voices = NULL WHERE voices IS NOT NULL;
