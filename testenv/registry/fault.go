package registry

import (
	"net/http"
	"regexp"
	"strings"
)

// Fault is a way in which a call to MLflow goes wrong.
type Fault string

// The faults.
const (
	ResetBefore   Fault = "reset before"    // the connection breaks, the server never hears of it
	ResetAfter    Fault = "reset after"     // the server has done it, the connection breaks
	ErrorBefore   Fault = "500 before"      // the server fails and has done nothing
	ErrorAfter    Fault = "500 after"       // the server has done it and fails all the same
	Busy          Fault = "429"             // too many requests, with Retry-After
	TimeoutBefore Fault = "time-out before" // no answer within the client's limit
	TimeoutAfter  Fault = "time-out after"
	KillBefore    Fault = "worker killed before" // SIGKILL
	KillAfter     Fault = "worker killed after"
	MLflowBefore  Fault = "MLflow killed before" // SIGKILL; the stack starts it again
	MLflowAfter   Fault = "MLflow killed after"
)

// Faults are all of them, in the order of tables. The last two strike every
// worker at once.
func Faults() []Fault {
	return []Fault{ResetBefore, ResetAfter, ErrorBefore, ErrorAfter, Busy, TimeoutBefore, TimeoutAfter,
		KillBefore, KillAfter, MLflowBefore, MLflowAfter}
}

// commits says whether the server hears of the call.
func (f Fault) commits() bool {
	switch f {
	case ResetAfter, ErrorAfter, TimeoutAfter, KillAfter, MLflowAfter:
		return true
	case ResetBefore, ErrorBefore, Busy, TimeoutBefore, KillBefore, MLflowBefore:
		return false
	default: // no fault
		return true
	}
}

// Boundary is one kind of call, such as "POST runs/create".
type Boundary string

const apiPrefix = "/api/2.0/mlflow/"

// identity matches the path elements that name one object.
var identity = regexp.MustCompile(`^([0-9a-f]{32}|m-[0-9a-f]{32}|[0-9]+)$`)

func boundaryOf(r *http.Request) Boundary {
	path := strings.TrimPrefix(r.URL.Path, apiPrefix)
	elements := strings.Split(path, "/")
	for i, element := range elements {
		if identity.MatchString(element) {
			elements[i] = "{id}"
		}
	}
	return Boundary(r.Method + " " + strings.Join(elements, "/"))
}
