package orchestrator_test

// What the source documents show, against the service at ECP_BASE_URL.

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	orchestrator "github.com/ecp-ai/orchestrator-client-go"
)

func client(t *testing.T, demo bool) *orchestrator.Client {
	t.Helper()
	base := os.Getenv("ECP_BASE_URL")
	if base == "" {
		t.Skip("ECP_BASE_URL names no service")
	}
	return orchestrator.NewClient(&orchestrator.Config{BaseURL: base, IsDemo: demo})
}

func newTenant(t *testing.T, c *orchestrator.Client) string {
	t.Helper()
	name := fmt.Sprintf("go-%d", time.Now().UnixNano())
	tenant, err := c.CreateTenant(&orchestrator.TenantRequest{
		TenantID: name,
		Name:     "내 서비스",
		Preset:   "medium",
		ServiceRequirements: map[string]int{
			"chatbot": 100,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if tenant.TenantID != name || tenant.Status != "pending" {
		t.Fatalf("it is not the one: %+v", tenant)
	}
	return name
}

func TestTheSDKOfTheReference(t *testing.T) {
	c := client(t, false)
	name := newTenant(t, c)
	result, err := c.SendMetrics(name, map[string]float64{"cpu": 65.5, "memory": 78.2})
	if err != nil || result.Accepted != 2 {
		t.Fatalf("%+v %v", result, err)
	}
	manifest, err := c.GetManifest(name)
	if err != nil || !strings.Contains(manifest, "kind: Namespace") {
		t.Fatalf("%q %v", manifest, err)
	}
	report, err := c.ValidateManifest(name, manifest, true)
	if err != nil || !report.Valid {
		t.Fatalf("%+v %v", report, err)
	}
	page, err := c.GetTenants(&orchestrator.ListOptions{Limit: 1000})
	if err != nil || page.TotalCount < 1 {
		t.Fatalf("%+v %v", page, err)
	}
	detail, err := c.GetTenant(name)
	if err != nil || detail.ServiceRequirements["chatbot"] != 100 {
		t.Fatalf("%+v %v", detail, err)
	}
	found, err := c.GetMonitoring(name, &orchestrator.MonitoringOptions{MetricType: "cpu", Hours: 1, Interval: "1m"})
	if err != nil || found.Summary["max_cpu"] != 65.5 {
		t.Fatalf("%+v %v", found, err)
	}
	sla, err := c.GetSla(name, "24h", "30d")
	if err != nil || len(sla.Windows) != 2 {
		t.Fatalf("%+v %v", sla, err)
	}
	if _, err := c.DeleteTenant(name, true); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	c := client(t, false)
	_, err := c.CreateTenant(&orchestrator.TenantRequest{TenantID: "Not A Name", Name: "x"})
	var refused *orchestrator.Error
	if !errors.As(err, &refused) || refused.Code != "VALIDATION_FAILED" || len(refused.Fields()) == 0 || refused.RequestID == "" {
		t.Fatalf("%+v", err)
	}
	if _, err := c.GetTenant(".."); orchestrator.CodeOf(err) == "" {
		t.Fatalf("%v", err)
	}
}

func TestADeploymentIsWaitedFor(t *testing.T) {
	c := client(t, true)
	name := newTenant(t, c)
	begun, err := c.Deploy(name, &orchestrator.DeployRequest{Method: "kubernetes"})
	if err != nil || begun.DeploymentID == nil {
		t.Fatalf("%+v %v", begun, err)
	}
	steps := 0
	done, err := c.WaitForDeployment(name, *begun.DeploymentID, func(*orchestrator.Deployment) { steps++ })
	if err != nil || done.Status != "completed" || steps == 0 {
		t.Fatalf("%+v %v", done, err)
	}
}
