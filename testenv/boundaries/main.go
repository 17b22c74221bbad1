// Command boundaries proves the import directions that docs/architecture.md
// draws. It reads the direct imports of every package from `go list`, so that a
// forbidden import is named together with the package that has it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

const module = "github.com/mainspring-ml/mainspring"

// rule says what the packages under Path may import. Only the imports that a
// rule speaks of are checked: Own for packages of this module, Others for those
// of other modules. The standard library is always allowed.
type rule struct {
	Path   string
	Own    []string // allowed prefixes inside the module; nil: none
	Others []string // allowed prefixes of other modules; nil: none
	Why    string
}

func rules() []rule {
	core := []string{"models", "internal/placement", "internal/canary", "internal/drift", "internal/gate", "internal/dataset"}
	pure := func(path string) rule {
		return rule{Path: path, Own: []string{"models"}, Others: []string{"gonum.org"}, Why: "a pure core: values in, verdict or plan out"}
	}
	return []rule{
		{Path: "models", Why: "the contract imports the standard library only"},
		{Path: "internal/placement", Own: []string{"models", "internal/placement"}, Others: []string{"gonum.org"}, Why: "a pure core: values in, verdict or plan out"},
		{Path: "internal/placement/simulation", Own: []string{"models", "internal/placement", "internal/runner/fencing"}, Why: "a model of the pool's world, made of pure cores"},
		pure("internal/canary"),
		{Path: "internal/drift", Own: []string{"models", "internal/dataset", "internal/drift"}, Others: []string{"gonum.org"}, Why: "a pure core: values in, verdict or plan out"},
		{Path: "internal/gate", Own: []string{"models", "internal/gate"}, Others: []string{"gonum.org"}, Why: "a pure core: values in, verdict or plan out"},
		{Path: "internal/dataset", Own: []string{"models", "internal/dataset"}, Others: []string{"gonum.org"}, Why: "a pure core: values in, verdict or plan out"},
		{Path: "internal/dataset/textio", Own: []string{"models", "internal/dataset"}, Others: []string{"github.com/klauspost/compress"}, Why: "a reader of one format: bytes in, rows out"},
		{Path: "internal/dataset/partition", Own: []string{"models", "internal/dataset", "internal/artifact"}, Why: "it reads what stores hold, in any format"},
		{Path: "internal/dataset/profile", Own: []string{"models", "internal/dataset"}, Why: "a pure core: chunks in, profile and evidence out"},
		{Path: "internal/dataset/division", Own: []string{"models", "internal/dataset"}, Why: "a pure core: chunks in, a share of the snapshot out"},
		{Path: "internal/dataset/checks", Own: []string{"models", "internal/dataset"}, Why: "a pure core: evidence in, results out"},
		{Path: "internal/dataset/infer", Own: []string{"models", "internal/dataset"}, Why: "a pure core: profiles in, YAML out"},
		{Path: "internal/openlineage", Own: []string{"models"}, Why: "it tells what it is handed, and reads nothing itself"},
		{Path: "internal/dataset/survey", Own: []string{"models", "internal/dataset"}, Why: "a pure core, side by side: what it reads is given to it"},
		{Path: "workflows", Own: core, Others: []string{"go.temporal.io/sdk", "go.temporal.io/api"}, Why: "workflows decide with cores and act through activities"},
		{Path: "examples/start-from-go", Own: []string{"models"}, Others: []string{"go.temporal.io/sdk", "go.temporal.io/api"}, Why: "a caller needs the SDK and the contract, nothing else"},
	}
}

// forbidden are imports that no package under the path may have.
func forbidden() map[string][]string {
	return map[string][]string{
		"activities": {"workflows", "worker", "cmd"},
		"internal":   {"workflows", "activities", "worker", "cmd", "testenv"},
	}
}

type goPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

func main() {
	packages, err := list()
	if err != nil {
		fmt.Fprintln(os.Stderr, "boundaries:", err)
		os.Exit(1)
	}
	var broken []string
	for _, p := range packages {
		broken = append(broken, check(p)...)
	}
	if len(broken) > 0 {
		fmt.Fprintln(os.Stderr, strings.Join(broken, "\n"))
		os.Exit(1)
	}
	fmt.Printf("boundaries: ok (%d packages)\n", len(packages))
}

func list() ([]goPackage, error) {
	command := exec.Command("go", "list", "-json=ImportPath,Standard,Imports", "./...")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

func check(p goPackage) (broken []string) {
	path := strings.TrimPrefix(p.ImportPath, module+"/")
	for _, r := range rules() {
		if !governs(r, path) {
			continue
		}
		for _, imported := range p.Imports {
			if !allowed(r, imported) {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s", path, imported, r.Why))
			}
		}
	}
	for prefix, banned := range forbidden() {
		if !under(path, prefix) {
			continue
		}
		for _, imported := range p.Imports {
			for _, b := range banned {
				if own, ok := strings.CutPrefix(imported, module+"/"); ok && under(own, b) {
					broken = append(broken, fmt.Sprintf("%s imports %s: it lies further out", path, own))
				}
			}
		}
	}
	return broken
}

// governs: internal/dataset's rule is for the core itself, not for the Parquet
// adapters below it; the simulation below internal/placement has a rule of its
// own.
func governs(r rule, path string) bool {
	if r.Path == "internal/dataset" {
		return path == r.Path
	}
	if r.Path == "internal/placement" && under(path, "internal/placement/simulation") {
		return false
	}
	return under(path, r.Path)
}

func allowed(r rule, imported string) bool {
	if own, ok := strings.CutPrefix(imported, module+"/"); ok {
		return matches(own, r.Own)
	}
	if !strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
		return true // standard library
	}
	return matches(imported, r.Others)
}

func matches(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if under(path, p) {
			return true
		}
	}
	return false
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }
