-- What is stored of Prometheus carries the instant of its scrape from now on; what was stored before may be an interval older.
INSERT INTO evidence_regimes (tenant, valid_from, source, holds, weights, age)
SELECT tenant, greatest(valid_from + INTERVAL '1 microsecond', CURRENT_TIMESTAMP), source, holds, weights, INTERVAL '0'
FROM (SELECT DISTINCT ON (tenant) * FROM evidence_regimes ORDER BY tenant, valid_from DESC) AS present
WHERE source = 'prometheus' AND age > INTERVAL '0';

CREATE OR REPLACE FUNCTION tenant_starts() RETURNS trigger AS $$
BEGIN
  INSERT INTO availability_heads (tenant) VALUES (NEW.id);
  INSERT INTO evidence_regimes (tenant, valid_from, source, holds, weights, age)
  VALUES (NEW.id, '1970-01-01T00:00:00Z', CASE WHEN NEW.sli_source = 'auto' THEN 'push' ELSE NEW.sli_source END,
          CASE NEW.sli_source WHEN 'simulator' THEN INTERVAL '12.5 s' WHEN 'prometheus' THEN INTERVAL '37.5 s'
               ELSE make_interval(secs => 2.5 * NEW.push_interval_seconds) END, NEW.component_weights,
          CASE WHEN NEW.sli_source IN ('simulator', 'prometheus') OR NEW.push_mode = 'samples' THEN INTERVAL '0' END);
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
