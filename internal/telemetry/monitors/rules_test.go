package monitors

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// rules are the parts of Prometheus' rule files that ours have.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func shippedRules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile("../../../docs/alerts/mainspring.rules.yml")
	require.NoError(t, err)
	var found rules
	require.NoError(t, yaml.UnmarshalWithOptions(text, &found, yaml.Strict()))
	require.Len(t, found.Groups, 1)
	return found.Groups[0].Rules
}

var (
	metricPattern = regexp.MustCompile(`mainspring_[a-z_]+`)
	labelPattern  = regexp.MustCompile(`\b(\w+)=~?"([^"]*)"`)
)

// TestRulesUseMetricsThatExist: a rule on a metric that nobody exports is
// silent for ever.
func TestRulesUseMetricsThatExist(t *testing.T) {
	exported := map[string]bool{}
	for _, g := range gauges() {
		require.NotEmpty(t, nameOf(g))
		exported[nameOf(g)] = true
	}
	values := map[string]bool{"not_helping": true, "failed": true} // kinds of notices
	for _, state := range openStates {
		values[string(state)] = true
	}
	for _, r := range shippedRules(t) {
		used := metricPattern.FindAllString(r.Expr, -1)
		require.NotEmpty(t, used, r.Alert)
		for _, metric := range used {
			require.True(t, exported[metric], "%s uses %s", r.Alert, metric)
		}
		for _, matcher := range labelPattern.FindAllStringSubmatch(r.Expr, -1) {
			for _, value := range strings.Split(matcher[2], "|") {
				require.True(t, values[value], "%s asks for %s=%s", r.Alert, matcher[1], value)
			}
		}
	}
}

// TestEveryAlertHasARunbook: whoever is woken reads what to do.
func TestEveryAlertHasARunbook(t *testing.T) {
	page, err := os.ReadFile("../../../docs/monitoring.md")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, r := range shippedRules(t) {
		require.False(t, seen[r.Alert], r.Alert)
		seen[r.Alert] = true
		require.Contains(t, string(page), "\n#### "+r.Alert+"\n")
		require.Equal(t, "docs/monitoring.md#"+strings.ToLower(r.Alert), r.Annotations["runbook"])
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.NotEmpty(t, r.Annotations["description"], r.Alert)
		require.Contains(t, []string{"page", "ticket", "info"}, r.Labels["severity"], r.Alert)
	}
}

// TestDocumentedMetrics: the page has each gauge, and none that is not there.
func TestDocumentedMetrics(t *testing.T) {
	page, err := os.ReadFile("../../../docs/monitoring.md")
	require.NoError(t, err)
	exported := map[string]bool{}
	for _, g := range gauges() {
		exported[nameOf(g)] = true
		require.Contains(t, string(page), "`"+strings.TrimPrefix(nameOf(g), "mainspring_monitor_"), nameOf(g))
	}
	for _, metric := range metricPattern.FindAllString(string(page), -1) {
		require.True(t, exported[metric] || metric == prefix, "docs/monitoring.md names %s", metric)
	}
}
