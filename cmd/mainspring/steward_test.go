package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/models"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestWhatPeopleDecideIsSigned(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{
		{"approve", "delay"}, {"reject", "delay", "3"}, {"rollback", "delay", "--to", "2"}, {"aliases", "delay", "--restore"},
		{"aliases", "delay", "--adopt", "--reason", " "}, {"aliases", "delay", "--take-over"},
		{"rollout", "pause", "flights"}, {"rollout", "promote", "flights", "--reason", ""},
	} {
		got := mainspring(t, args...)
		require.Equal(t, exitUsage, got.code, args)
		require.Equal(t, "mainspring: say why with --reason: it is kept in the model's audit trail\n", got.stderr, args)
	}
	got := mainspring(t, "approve", "delay", "--reason", "fine", "--by", " ")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "say who with --by")
}

func TestStewardCommandsWithoutAServer(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{
		{"approve", "delay", "--reason", "fine"}, {"reject", "delay", "3", "--reason", "no"}, {"rollback", "delay", "--reason", "no"},
		{"aliases", "delay"}, {"aliases", "delay", "--adopt", "--reason", "meant"}, {"audit", "delay"}, {"audit", "verify", "delay"},
	} {
		got := mainspring(t, args...)
		require.Equal(t, exitFailed, got.code, args)
		require.Contains(t, got.stderr, "no Temporal server answers", args)
		require.Empty(t, got.stdout, args)
	}
}

func TestStewardCommandsUsedWrongly(t *testing.T) {
	t.Chdir(t.TempDir())
	for want, args := range map[string][]string{
		"accepts between 1 and 2 arg(s), received 0": {"approve"},
		"accepts 1 arg(s), received 0":               {"rollback"},
		"accepts 1 arg(s), received 2":               {"aliases", "delay", "price"},
		"none of the others can be":                  {"aliases", "delay", "--restore", "--adopt"},
		"--last can't be negative":                   {"audit", "delay", "--last", "-1"},
	} {
		got := mainspring(t, args...)
		require.Equal(t, exitUsage, got.code, args)
		require.Contains(t, got.stderr, want)
	}
}

func TestQuestionIsPrintedWithItsEvidence(t *testing.T) {
	gain := models.Estimate{Value: 0.03, Low: 0.02, High: 0.04}
	question := client.Question{
		Champion: "2",
		Pending: models.PendingApproval{Asked: noon, Until: noon.Add(72 * time.Hour),
			Request: models.ApprovalRequest{Version: "3", Spec: models.ApprovalSpec{Approvers: []string{"kim", "lee"}}}},
		Version: models.ModelVersion{Version: "3", URL: "http://mlflow/#/models/delay/versions/3",
			Signature: &models.Signature{KeyID: "0123456789abcdef", SignedAt: noon},
			Candidate: models.Candidate{Lifecycle: "lifecycle/delay/1", RunID: "r1",
				Evidence: []models.EvidenceFile{{Name: "evaluation/gate.md"}, {Name: "evaluation/reliability.svg"}},
				Gate: models.GateVerdict{Verdict: models.VerdictPass, Reason: "passed: better",
					Checks: []models.GateCheck{{Name: "log_loss gain over the champion", Verdict: models.VerdictPass, Figure: gain, Limit: "gain > 0"}}}}},
	}
	var out strings.Builder
	require.NoError(t, printQuestion(&out, "delay", question, noon.Add(time.Hour)))
	require.Equal(t, `delay version 3 waits for approval since 2026-11-25 12:00:00Z; the question stands until 2026-11-28 12:00:00Z (2d23h)
  champion    version 2
  page        http://mlflow/#/models/delay/versions/3
  lifecycle   lifecycle/delay/1
  run         r1
  evidence    evaluation/gate.md, evaluation/reliability.svg (the run's artifacts)
  signature   key 0123456789ab…, signed 2026-11-25 12:00:00Z
  may answer  kim, lee
  gate: pass: passed: better
    log_loss gain over the champion pass         0.0300 [0.0200, 0.0400]    gain > 0

`, out.String())

	// A version of which the steward knows no more than the number.
	out.Reset()
	require.NoError(t, printQuestion(&out, "delay", client.Question{Version: models.ModelVersion{Version: "9"}, Pending: question.Pending}, noon))
	require.Contains(t, out.String(), "champion    none yet; this would be the first")
	for _, word := range []string{"page", "gate", "signature", "evidence"} {
		require.NotContains(t, out.String(), word)
	}
}

func TestApprovalIsPrinted(t *testing.T) {
	for verdict, want := range map[models.Verdict]string{
		models.VerdictPass: "delay version 3 approved by kim: ok\n", models.VerdictFail: "delay version 3 rejected by kim: ok\n",
		models.VerdictInconclusive: "delay version 3 not decided by kim: ok\n",
	} {
		var out strings.Builder
		require.NoError(t, printApproval(&out, "delay", models.Approval{Version: "3", Verdict: verdict, By: "kim", Reason: "ok"}))
		require.Equal(t, want, out.String())
	}
}

func TestAliasesArePrintedSideBySide(t *testing.T) {
	var out strings.Builder
	require.NoError(t, printAliases(&out, "delay", models.AliasReport{
		Recorded: map[string]string{"champion": "2", "previous": "1", "challenger": ""},
		Found:    map[string]string{"champion": "1", "staging": "7", "previous": ""},
		Differences: []models.AliasDifference{{Alias: "champion", Recorded: "2", Found: "1", Seen: noon},
			{Alias: "previous", Recorded: "1", Deleted: true, Seen: noon}},
		CheckedAt: noon.Add(time.Hour),
	}))
	require.Equal(t, `ALIAS     RECORDED  MLFLOW  
champion  2         1       moved by another hand, seen since 2026-11-25 12:00:00Z
previous  1         -       version 1 was deleted in MLflow, seen since 2026-11-25 12:00:00Z
staging   -         7       not the steward's

compared 2026-11-25 13:00:00Z
not as recorded: champion, previous
  to set it back:            mainspring aliases delay --restore --reason …
  to keep what MLflow has:   mainspring aliases delay --adopt --reason …   (traffic follows the champion)
`, out.String())

	out.Reset()
	require.NoError(t, printAliases(&out, "delay", models.AliasReport{Recorded: map[string]string{"champion": "2"}, Found: map[string]string{"champion": "2"}, CheckedAt: noon}))
	require.NotContains(t, out.String(), "not as recorded")

	// A champion that does not exist any more can't be restored.
	out.Reset()
	require.NoError(t, printAliases(&out, "delay", models.AliasReport{Recorded: map[string]string{"champion": "2"},
		Differences: []models.AliasDifference{{Alias: "champion", Recorded: "2", Deleted: true}}, CheckedAt: noon}))
	require.Contains(t, out.String(), "the champion can't be set back")
	require.NotContains(t, out.String(), "--restore")

	out.Reset()
	require.NoError(t, printAliases(&out, "delay", models.AliasReport{CheckedAt: noon}))
	require.Equal(t, "delay has no aliases, neither recorded nor in MLflow\n\ncompared 2026-11-25 12:00:00Z\n", out.String())
}

func TestRollBackIsAnnounced(t *testing.T) {
	state := models.StewardState{Champion: "3", Previous: "2"}
	require.Equal(t, "delay: the champion is 3; rolling back to version 2", announceRollBack("delay", state, ""))
	require.Equal(t, "delay: the champion is 3; rolling back to version 1", announceRollBack("delay", state, "1"))
	require.Equal(t, "delay: the champion is none", announceRollBack("delay", models.StewardState{}, ""))
}
