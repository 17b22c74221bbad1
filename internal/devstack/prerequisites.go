package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// pythonVariable names the interpreter that environments are made with.
const pythonVariable = "MAINSPRING_PYTHON"

// oldestPython is the oldest supported minor version of Python 3: the lock
// files are resolved for it and later ones.
const oldestPython = 11

// prerequisite is a program that must come from the operating system.
type prerequisite struct {
	name     string
	why      string
	packages map[string]string // package manager → package
}

func pythonPrerequisite() prerequisite {
	return prerequisite{
		name: "python3", why: "MLflow, the Temporal CLI and training environments are installed with it",
		packages: map[string]string{"apt": "python3 python3-venv", "dnf": "python3", "apk": "python3", "brew": "python@3.13"},
	}
}

func venvPrerequisite() prerequisite {
	return prerequisite{
		name: "python3's venv module", why: "environments are made with it",
		packages: map[string]string{"apt": "python3-venv", "dnf": "python3", "apk": "python3", "brew": "python@3.13"},
	}
}

func goPrerequisite() prerequisite {
	return prerequisite{
		name: "go", why: "the S3 server is built with it",
		packages: map[string]string{"apt": "golang", "dnf": "golang", "apk": "go", "brew": "go"},
	}
}

// sourcePrerequisites are needed to build Mainspring itself.
func sourcePrerequisites() []prerequisite {
	return []prerequisite{
		{
			name: "gcc", why: "ONNX Runtime is loaded through cgo",
			packages: map[string]string{"apt": "gcc libc6-dev", "dnf": "gcc", "apk": "gcc musl-dev", "brew": "gcc"},
		},
		{
			name: "make", why: "the targets of the Makefile",
			packages: map[string]string{"apt": "make", "dnf": "make", "apk": "make", "brew": "make"},
		},
	}
}

// hint is the command that installs the prerequisite on this machine.
func (p prerequisite) hint() string {
	for _, m := range []struct{ program, manager, command string }{
		{"apt-get", "apt", "apt install "}, {"dnf", "dnf", "dnf install "},
		{"apk", "apk", "apk add "}, {"brew", "brew", "brew install "},
	} {
		if _, err := exec.LookPath(m.program); err == nil {
			return "install it: " + m.command + p.packages[m.manager]
		}
	}
	return "install it, e.g. apt install " + p.packages["apt"]
}

func (p prerequisite) missing(cause error) error {
	return &Error{Op: "look for " + p.name, Err: fmt.Errorf("%w: %w", ErrMissing, cause), Hint: p.why + "; " + p.hint()}
}

// find returns where the program is.
func (p prerequisite) find() (string, error) {
	path, err := exec.LookPath(p.name)
	if err != nil {
		return "", p.missing(err)
	}
	return path, nil
}

// interpreter is a Python that environments can be made with.
type interpreter struct {
	path    string // the interpreter itself, not a launcher on PATH
	version string // "3.11.7"
	base    string // the installation that environments will point into
}

// pythonQuestion also asks for the parts that Debian puts into python3-venv.
const pythonQuestion = `import sys
print("%d.%d.%d" % sys.version_info[:3])
print(sys.base_exec_prefix)
print(sys.executable)
try:
    import venv, ensurepip
    print("complete")
except ImportError as e:
    print(e)`

// findPython takes MAINSPRING_PYTHON, else the first suitable one on PATH.
func findPython(ctx context.Context) (interpreter, error) {
	names := []string{"python3", "python3.13", "python3.12", "python3.11"}
	if named := os.Getenv(pythonVariable); named != "" {
		names = []string{named}
	}
	var first error
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		found, err := askPython(ctx, path)
		if err == nil {
			return found, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = pythonPrerequisite().missing(fmt.Errorf("none of %s is on PATH", strings.Join(names, ", ")))
	}
	return interpreter{}, first
}

func askPython(ctx context.Context, path string) (interpreter, error) {
	output, err := command{argv: []string{path, "-c", pythonQuestion}}.run(ctx)
	if err != nil {
		return interpreter{}, describe("ask Python for its version", path, err)
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if len(lines) != 4 {
		return interpreter{}, &Error{Op: "ask Python for its version", Subject: path, Err: fmt.Errorf("%w: it answers %q", ErrUnsuitable, output)}
	}
	found := interpreter{path: lines[2], version: lines[0], base: lines[1]}
	numbers := strings.Split(found.version, ".")
	minor, err := strconv.Atoi(numbers[1])
	if err != nil || numbers[0] != "3" || minor < oldestPython {
		return interpreter{}, &Error{
			Op: "look for Python", Subject: path,
			Err:  fmt.Errorf("%w: version %s is older than 3.%d", ErrUnsuitable, found.version, oldestPython),
			Hint: "install a newer one and put it on PATH, or name it in " + pythonVariable,
		}
	}
	if lines[3] != "complete" {
		return interpreter{}, venvPrerequisite().missing(fmt.Errorf("%s: %s", path, lines[3]))
	}
	return found, nil
}
