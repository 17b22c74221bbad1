package worker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamespaceIDIsTheServers(t *testing.T) {
	b := newAgentBench(t)
	ask := namespaceID(b.temporal)
	first, err := ask(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f-]{36}$`, first)
	b.temporal.Close() // it is asked once
	again, err := ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestWorkflowPage(t *testing.T) {
	t.Setenv("TEMPORAL_NAMESPACE", "mainspring")
	require.Nil(t, workflowPage(""))
	page := workflowPage("http://127.0.0.1:8233/")
	require.Equal(t, "http://127.0.0.1:8233/namespaces/mainspring/workflows/lifecycle%2Fdelay%2F1", page("lifecycle/delay/1", ""))
	require.Equal(t, "http://127.0.0.1:8233/namespaces/mainspring/workflows/lifecycle%2Fdelay%2F1/0199", page("lifecycle/delay/1", "0199"))
}
