package devstack

import "context"

// Finding is one line of the doctor's report.
type Finding struct {
	What    string // "Temporal CLI"
	OK      bool
	Version string
	Path    string
	Source  Source
	Hint    string // what to do, or what is wrong; empty when all is well
}

// Doctor looks at everything that set-up needs and installs, without
// installing anything. An item that set-up will install is not a problem of
// its own: OK is false only where the user has to do something.
func Doctor(ctx context.Context) ([]Finding, error) {
	c, err := openCache()
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, p := range append([]prerequisite{goPrerequisite()}, sourcePrerequisites()...) {
		findings = append(findings, examine(p))
	}
	python, err := findPython(ctx)
	if err != nil {
		return append(findings, Finding{What: "python3", Source: Missing, Hint: err.Error()}), nil
	}
	findings = append(findings, Finding{What: "python3", OK: true, Version: python.version, Path: python.path, Source: FromPath})
	for _, it := range (kitchen{cache: c, python: python}).items() {
		findings = append(findings, examineItem(ctx, c, it))
	}
	return findings, nil
}

func examine(p prerequisite) Finding {
	path, err := p.find()
	if err != nil {
		return Finding{What: p.name, Source: Missing, Hint: p.why + "; " + p.hint()}
	}
	return Finding{What: p.name, OK: true, Path: path, Source: FromPath}
}

func examineItem(ctx context.Context, c cache, it item) Finding {
	found, err := it.locate(ctx, c)
	if err != nil {
		return Finding{What: it.title, Source: Missing, Hint: err.Error()}
	}
	finding := Finding{What: it.title, OK: true, Version: found.Version, Path: found.Path, Source: found.Source}
	if found.Source == Missing {
		finding.Hint = "set-up installs it when it is first needed"
	}
	return finding
}
