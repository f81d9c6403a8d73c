// Package orchestrator is a client of the ECP-AI orchestrator and SLA monitor. See docs/clients.md.
package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const api = "/api/v1"

// Config says where the service is, and who asks.
type Config struct {
	// BaseURL with or without /api/v1; http://localhost:8001/api/v1 when empty.
	BaseURL string
	// IsDemo works with the demo database.
	IsDemo bool
	// Token is asked before every attempt; see StaticToken.
	Token func() string
	// Language of the messages in errors, such as "ko".
	Language string
	// Timeout of one attempt; 30 seconds when 0.
	Timeout time.Duration
	// Retries; DefaultRetries when nil.
	Retries *Retries
	// HTTP does the requests; http.DefaultClient when nil.
	HTTP *http.Client
}

// StaticToken is a token that does not change.
func StaticToken(token string) func() string { return func() string { return token } }

// Client asks the service. Any goroutine may use it.
type Client struct {
	config  Config
	root    string
	timeout time.Duration
	retries Retries
	http    *http.Client
	ctx     context.Context
}

// NewClient makes a client. What is wrong with its address, the first request says.
func NewClient(config *Config) *Client {
	c := &Client{
		config: *config, root: rootOf(config.BaseURL), timeout: config.Timeout, retries: DefaultRetries,
		http: http.DefaultClient, ctx: context.Background(),
	}
	if c.timeout == 0 {
		c.timeout = 30 * time.Second
	}
	if config.Retries != nil {
		c.retries = *config.Retries
	}
	if config.HTTP != nil {
		c.http = config.HTTP
	}
	return c
}

// WithContext is the same client whose requests end with ctx.
func (c *Client) WithContext(ctx context.Context) *Client {
	other := *c
	other.ctx = ctx
	return &other
}

func rootOf(base string) string {
	if base == "" {
		base = "http://localhost:8001"
	}
	return strings.TrimSuffix(strings.TrimRight(base, "/"), api)
}

func tenantPath(parts ...string) string {
	path := api + "/tenants"
	for _, part := range parts {
		path += "/" + segment(part)
	}
	return path
}

// segment is a name as one part of a path; "." and ".." would lead to another place.
func segment(name string) string {
	if name == "" || name == "." || name == ".." {
		return "%00" // no name: the service says so
	}
	return url.PathEscape(name)
}

// ListOptions choose a page of tenants. Limit 0: 100.
type ListOptions struct {
	Skip, Limit    int
	Preset, Status string
}

// GetTenants is a page of the tenants that the caller may see; options may be nil.
func (c *Client) GetTenants(options *ListOptions) (*TenantPage, error) {
	query := url.Values{}
	if options != nil {
		setInt(query, "skip", options.Skip)
		setInt(query, "limit", options.Limit)
		set(query, "preset", options.Preset)
		set(query, "status", options.Status)
	}
	return ask[TenantPage](c, call{method: "GET", path: api + "/tenants/", query: query, repeatable: true})
}

// GetTenant is one tenant in detail.
func (c *Client) GetTenant(tenantID string) (*Tenant, error) {
	return ask[Tenant](c, call{method: "GET", path: tenantPath(tenantID), repeatable: true})
}

// CreateTenant creates a tenant; nothing is deployed yet.
func (c *Client) CreateTenant(tenant *TenantRequest) (*CreatedTenant, error) {
	return ask[CreatedTenant](c, call{method: "POST", path: api + "/tenants/", body: tenant})
}

// UpdateTenant changes what is in changes, by the names of the API; what is absent stays.
func (c *Client) UpdateTenant(tenantID string, changes map[string]any) (*UpdatedTenant, error) {
	what := call{method: "PUT", path: tenantPath(tenantID), body: changes, repeatable: true}
	return ask[UpdatedTenant](c, what)
}

// DeleteTenant removes the deployment, then the tenant; a running one only with force.
func (c *Client) DeleteTenant(tenantID string, force bool) (*Deletion, error) {
	query := url.Values{"force": {strconv.FormatBool(force)}}
	return ask[Deletion](c, call{method: "DELETE", path: tenantPath(tenantID), query: query})
}

// CalculateResources says what a set of services would need; target may be nil.
func (c *Client) CalculateResources(requirements map[string]int, target *SlaTarget) (*ResourcePlan, error) {
	body := map[string]any{"service_requirements": requirements}
	if target != nil {
		body["sla_target"] = target
	}
	what := call{method: "POST", path: tenantPath("calculate-resources"), body: body, repeatable: true}
	return ask[ResourcePlan](c, what)
}

// SendMetrics sends measurements of now, by this machine's clock. It may be sent again: the same series at the same
// instant is stored once.
func (c *Client) SendMetrics(tenantID string, metrics map[string]float64) (*PushResult, error) {
	return c.SendBatch(tenantID, []Measurement{{Metrics: metrics, Timestamp: time.Now()}})
}

// Measurement is what was measured at one instant; the zero time is now.
type Measurement struct {
	Metrics   map[string]float64 `json:"metrics"`
	Timestamp time.Time          `json:"timestamp"`
}

// SendBatch sends measurements of several instants.
func (c *Client) SendBatch(tenantID string, batch []Measurement) (*PushResult, error) {
	now, body := time.Now().UTC(), make([]Measurement, len(batch))
	for i, each := range batch {
		if each.Timestamp.IsZero() {
			each.Timestamp = now
		}
		each.Timestamp = each.Timestamp.UTC()
		body[i] = each
	}
	what := call{method: "POST", path: tenantPath(tenantID, "monitoring"), body: body, repeatable: true}
	return ask[PushResult](c, what)
}

// MonitoringOptions choose what is shown; the zero value is everything of a day, every 5 minutes.
type MonitoringOptions struct {
	MetricType, Interval string
	Hours                float64
}

// GetMonitoring is measurements over time; options may be nil.
func (c *Client) GetMonitoring(tenantID string, options *MonitoringOptions) (*Monitoring, error) {
	query := url.Values{}
	if options != nil {
		set(query, "metric_type", options.MetricType)
		set(query, "interval", options.Interval)
		if options.Hours != 0 {
			query.Set("hours", strconv.FormatFloat(options.Hours, 'g', -1, 64))
		}
	}
	what := call{method: "GET", path: tenantPath(tenantID, "monitoring"), query: query, repeatable: true}
	return ask[Monitoring](c, what)
}

// GetManifest is the tenant's Kubernetes objects, ready for kubectl apply.
func (c *Client) GetManifest(tenantID string) (string, error) {
	found, err := c.send(call{method: "GET", path: tenantPath(tenantID, "manifest"), repeatable: true})
	if err != nil {
		return "", err
	}
	return string(found.body), nil
}

// ValidateManifest says what is wrong with a manifest.
func (c *Client) ValidateManifest(tenantID, manifest string, strict bool) (*ManifestReport, error) {
	body := map[string]any{"tenant_id": tenantID, "manifest_content": manifest, "strict_validation": strict}
	what := call{method: "POST", path: tenantPath("validate-manifest"), body: body, repeatable: true}
	return ask[ManifestReport](c, what)
}

// DeployRequest says how to deploy: Method is kubernetes, gitops or simulator.
type DeployRequest struct {
	Method string `json:"method"`
	DryRun bool   `json:"dry_run,omitempty"`
	Force  bool   `json:"force,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Deploy begins a deployment.
func (c *Client) Deploy(tenantID string, request *DeployRequest) (*DeploymentBegun, error) {
	what := call{method: "POST", path: tenantPath(tenantID, "deploy"), body: request, repeatable: request.DryRun}
	return ask[DeploymentBegun](c, what)
}

// ErrDeploymentFailed is in the error of a deployment that failed or was rolled back.
var ErrDeploymentFailed = errors.New("the deployment failed")

// WaitForDeployment asks once a second until the deployment is over; progress, if any, hears of every step.
func (c *Client) WaitForDeployment(tenantID, deploymentID string, progress func(*Deployment)) (*Deployment, error) {
	told := ""
	for {
		found, err := c.deployment(tenantID, deploymentID)
		if err != nil {
			return nil, err
		}
		if step := fmt.Sprint(found.Status, found.Progress, found.Message); step != told && progress != nil {
			told = step
			progress(found)
		}
		switch found.Status {
		case "completed":
			return found, nil
		case "failed", "rolled-back":
			return found, fmt.Errorf("%w: %s: %s", ErrDeploymentFailed, found.Status, found.Message)
		}
		select {
		case <-c.ctx.Done():
			return found, c.ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (c *Client) deployment(tenantID, deploymentID string) (*Deployment, error) {
	query := url.Values{"limit": {"100"}}
	what := call{method: "GET", path: tenantPath(tenantID, "deployments"), query: query, repeatable: true}
	listed, err := ask[Deployments](c, what)
	if err != nil {
		return nil, err
	}
	for i := range listed.Deployments {
		if listed.Deployments[i].DeploymentID == deploymentID {
			return &listed.Deployments[i], nil
		}
	}
	return nil, &Error{Status: http.StatusNotFound, Code: "NOT_FOUND", Message: "there is no such deployment"}
}

// GetDeploymentStatus is the latest deployment.
func (c *Client) GetDeploymentStatus(tenantID string) (*Deployment, error) {
	what := call{method: "GET", path: tenantPath(tenantID, "deployment-status"), repeatable: true}
	return ask[Deployment](c, what)
}

// ReportDeployment tells how a pipeline's own deployment went: completed or failed.
func (c *Client) ReportDeployment(tenantID, status, message string) (*DeploymentReport, error) {
	body := map[string]any{"status": status, "message": message}
	return ask[DeploymentReport](c, call{method: "POST", path: tenantPath(tenantID, "deployment-status"), body: body})
}

// GetSla is availability with bounds and budget per window, such as 24h and 30d; without any the usual ones.
func (c *Client) GetSla(tenantID string, windows ...string) (*Sla, error) {
	query := url.Values{}
	set(query, "windows", strings.Join(windows, ","))
	return ask[Sla](c, call{method: "GET", path: tenantPath(tenantID, "sla"), query: query, repeatable: true})
}

// CreateAlert saves a rule.
func (c *Client) CreateAlert(tenantID string, rule *AlertRequest) (*AlertRule, error) {
	return ask[AlertRule](c, call{method: "POST", path: tenantPath(tenantID, "alerts"), body: rule})
}

// GetAlerts is every rule with its state.
func (c *Client) GetAlerts(tenantID string) (*AlertRules, error) {
	return ask[AlertRules](c, call{method: "GET", path: tenantPath(tenantID, "alerts"), repeatable: true})
}

// DeleteAlert deletes a rule.
func (c *Client) DeleteAlert(tenantID, ruleID string) error {
	path := tenantPath(tenantID, "alerts", ruleID)
	_, err := c.send(call{method: "DELETE", path: path, repeatable: true, goneIsDone: true})
	return err
}

func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func setInt(query url.Values, name string, value int) {
	if value != 0 {
		query.Set(name, strconv.Itoa(value))
	}
}
