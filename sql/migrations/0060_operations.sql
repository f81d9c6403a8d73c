-- The operators' dashboard asks what was deployed lately and which rules fire, whatever the number of those that are over.
CREATE INDEX deployments_by_request ON deployments (requested_at) WHERE requested_at IS NOT NULL;
CREATE INDEX alert_states_firing ON alert_states (rule_id) WHERE status = 'firing';
