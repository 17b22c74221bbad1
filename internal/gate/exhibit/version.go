package exhibit

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gate/exhibit/plot"
	"github.com/mainspring-ml/mainspring/models"
)

// MaxPage is the longest page of a version, in bytes: MLflow's limit of 5000
// less what the registry adds, the link to the lifecycle in Temporal's UI.
const MaxPage = 4700

// VersionPage is the Markdown page of a model version. When it would be too
// long, slices and then names of files are left out, never the verdict nor the
// origin.
func VersionPage(candidate models.Candidate, version models.ModelVersion) string {
	v := versionPage{candidate: candidate, version: version, slices: len(candidate.Summary.Slices), files: len(candidate.Evidence)}
	text := v.write()
	for len(text) > MaxPage && (v.slices > 0 || v.files > 0) {
		if v.slices > 0 {
			v.slices--
		} else {
			v.files--
		}
		text = v.write()
	}
	if len(text) > MaxPage {
		text = strings.ToValidUTF8(text[:MaxPage-len("…")], "") + "…"
	}
	return text
}

type versionPage struct {
	candidate     models.Candidate
	version       models.ModelVersion
	slices, files int // how many are written
}

func (v versionPage) write() string {
	p := &page{}
	c := v.candidate
	p.linef("**Gate: %s** — %s\n", cmp.Or(string(c.Gate.Verdict), "not judged"), plain(plot.Shorten(c.Gate.Reason, 900)))
	v.metrics(p)
	v.plots(p)
	v.worstSlices(p)
	if c.Summary.Serving != nil {
		p.linef("### Serving\n\n%s\n", servingWords(*c.Summary.Serving))
	}
	v.origin(p)
	v.trust(p)
	v.evidence(p)
	return strings.TrimRight(p.String(), "\n") + "\n"
}

func (v versionPage) metrics(p *page) {
	s := v.candidate.Summary
	task := cmp.Or(s.Task, models.TaskBinary)
	if len(v.candidate.Metrics) == 0 {
		return
	}
	name := "champion"
	if s.ChampionVersion != "" {
		name += " (version " + s.ChampionVersion + ")"
	}
	p.linef("### Metrics\n")
	writeMetrics(p, task, name, finiteFigures(v.candidate.Metrics), s.Champion, s.Gains)
	p.linef("")
	if s.Rows > 0 {
		p.linef("On %s held-out rows in %d blocks; intervals at error level %.3g on each side. ↓ lower, ↑ higher is better; a gain above 0 is for the candidate.\n",
			plot.Grouped(s.Rows), s.Blocks, s.Level)
	}
}

// plots shows the evidence's pictures in the page. MLflow's UI resolves the
// address against its own root.
func (v versionPage) plots(p *page) {
	if v.candidate.RunID == "" {
		return
	}
	for _, f := range v.candidate.Evidence[:v.files] {
		if f.Name == directory+"blocks.svg" || f.Name == directory+"reliability.svg" {
			p.linef("![%s](get-artifact?path=%s&run_uuid=%s)\n", strings.TrimSuffix(strings.TrimPrefix(f.Name, directory), ".svg"),
				url.QueryEscape(f.Name), url.QueryEscape(v.candidate.RunID))
		}
	}
}

func (v versionPage) worstSlices(p *page) {
	s := v.candidate.Summary
	if v.slices == 0 {
		return
	}
	p.linef("### Slices: the worst %d of %d\n", v.slices, s.AllSlices)
	cells := []string{"slice", "rows", string(s.Metric)}
	if len(s.Champion) > 0 {
		cells = append(cells, "champion", "gain")
	}
	p.header(cells...)
	for _, slice := range s.Slices[:v.slices] {
		cells := []string{plain(plot.Shorten(slice.Slice, 48)), plot.Grouped(slice.Rows), interval(slice.Candidate)}
		if len(s.Champion) > 0 {
			cells = append(cells, optional(slice.Champion, interval), optional(slice.Gain, signed))
		}
		p.row(cells...)
	}
	p.linef("")
}

// origin is what the version was made of, where and when.
func (v versionPage) origin(p *page) {
	c := v.candidate
	p.linef("### Made of\n")
	data := "- data: snapshot `" + c.Snapshot + "`"
	if c.Summary.TrainRows > 0 {
		data += fmt.Sprintf(", %s training rows", plot.Grouped(c.Summary.TrainRows))
	}
	p.linef("%s", data)
	if c.CodeSHA256 != "" {
		code := "- code: `" + c.CodeSHA256 + "`"
		if c.CodeCommit != "" {
			code += ", commit `" + plain(c.CodeCommit) + "`"
		}
		p.linef("%s", code)
	}
	if c.SpecSHA256 != "" {
		p.linef("- spec: `%s`", c.SpecSHA256)
	}
	for _, host := range c.Hosts[:min(len(c.Hosts), 8)] {
		p.linef("- trained on %s", hostWords(host))
	}
	if more := len(c.Hosts) - 8; more > 0 {
		p.linef("- and on %d more hosts", more)
	}
	if len(c.Hosts) == 0 && len(c.Devices) > 0 {
		p.linef("- trained on %s", plain(strings.Join(c.Devices[:min(len(c.Devices), 8)], ", ")))
	}
	if !c.Trained.Began.IsZero() && !c.Trained.Ended.IsZero() {
		p.linef("- trained from %s for %s", c.Trained.Began.UTC().Format("2 Jan 2006 15:04 UTC"), c.Trained.Ended.Sub(c.Trained.Began).Round(time.Second))
	}
	lifecycle := "- lifecycle: `" + plain(c.Lifecycle) + "`"
	if c.LifecycleRun != "" {
		lifecycle += ", run `" + plain(c.LifecycleRun) + "`"
	}
	p.linef("%s", lifecycle)
	if t := v.version.Spec.Trigger; t != nil {
		p.linef("- asked for by: %s", plain(plot.Shorten(strings.TrimSuffix(string(t.Kind)+", "+t.Reason, ", "), 300)))
	}
	p.linef("")
}

func hostWords(h models.HostFacts) string {
	text := plain(h.Node)
	if more := strings.Trim(h.OS+"; "+h.Driver, "; "); more != "" {
		text += " (" + plain(more) + ")"
	}
	var devices []string
	for _, d := range h.Devices[:min(len(h.Devices), 8)] {
		devices = append(devices, strings.TrimSpace(plain(d.Model)+" `"+plain(d.UUID)+"`"))
	}
	if len(devices) > 0 {
		text += ": " + strings.Join(devices, ", ")
	}
	if more := len(h.Devices) - 8; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// trust is who vouches for the version.
func (v versionPage) trust(p *page) {
	p.linef("### Vouched for by\n")
	if s := v.version.Signature; s != nil {
		p.linef("- signature: key `%s`, %s; provenance beside it", s.KeyID, s.SignedAt.UTC().Format("2 Jan 2006 15:04 UTC"))
	} else {
		p.linef("- signature: none")
	}
	switch a := v.version.Approval; {
	case a == nil && v.version.Spec.Evaluate.Approval == nil:
		p.linef("- approval: not asked for")
	case a == nil:
		p.linef("- approval: asked for, not answered yet")
	case a.Verdict == models.VerdictInconclusive:
		p.linef("- approval: nobody answered in time")
	default:
		word := "approved"
		if a.Verdict == models.VerdictFail {
			word = "rejected"
		}
		p.linef("- approval: %s by %s on %s: %s", word, plain(plot.Shorten(cmp.Or(a.By, "somebody"), 80)),
			a.At.UTC().Format("2 Jan 2006 15:04 UTC"), plain(plot.Shorten(a.Reason, 300)))
	}
	p.linef("")
}

func (v versionPage) evidence(p *page) {
	if v.files == 0 {
		return
	}
	var names []string
	for _, f := range v.candidate.Evidence[:v.files] {
		names = append(names, "`"+f.Name+"`")
	}
	p.linef("### Evidence\n\nAmong the run's artifacts: %s", strings.Join(names, ", "))
}
