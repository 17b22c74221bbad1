package signing

import (
	"encoding/json"
	"fmt"
	"time"
)

const provenanceType = "https://slsa.dev/provenance/v1"

// Provenance is the predicate of SLSA provenance v1 (slsa.dev/spec/v1.1). Maps
// are written with sorted keys, so that equal values are equal bytes.
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what went in.
type BuildDefinition struct {
	// BuildType is the URI of the page that explains the parameters.
	BuildType            string         `json:"buildType"`
	ExternalParameters   map[string]any `json:"externalParameters"`
	InternalParameters   map[string]any `json:"internalParameters,omitempty"`
	ResolvedDependencies []Resource     `json:"resolvedDependencies,omitempty"`
}

// Resource is in-toto's resource descriptor.
type Resource struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}

// RunDetails is who built it, and when.
type RunDetails struct {
	Builder    Builder       `json:"builder"`
	Metadata   BuildMetadata `json:"metadata"`
	Byproducts []Resource    `json:"byproducts,omitempty"`
}

// Builder is the program that vouches for the rest.
type Builder struct {
	ID      string            `json:"id"` // URI
	Version map[string]string `json:"version,omitempty"`
}

// BuildMetadata identifies the build.
type BuildMetadata struct {
	InvocationID string    `json:"invocationId"`
	StartedOn    time.Time `json:"startedOn,omitzero"`
	FinishedOn   time.Time `json:"finishedOn,omitzero"`
}

// ProvenanceStatement is the statement that a model of these files was built
// that way. The first subject is the model, with the digest that its signature
// has; the others are its files, which tools look up by digest.
func ProvenanceStatement(name string, files []File, p Provenance) ([]byte, error) {
	kept, err := clean(files, gitPaths())
	if err != nil {
		return nil, err
	}
	subjects := []Subject{{Name: name, Digest: map[string]string{"sha256": root(kept)}}}
	for _, f := range kept {
		subjects = append(subjects, Subject{Name: name + "/" + f.Path, Digest: map[string]string{"sha256": f.SHA256}})
	}
	predicate, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return json.Marshal(statement{Type: statementType, Subject: subjects, PredicateType: provenanceType, Predicate: predicate})
}

// OpenProvenance verifies a bundle and returns what it says, and about what.
func OpenProvenance(bundle []byte, trust Trust) ([]Subject, Provenance, error) {
	payload, _, err := Open(bundle, trust)
	if err != nil {
		return nil, Provenance{}, err
	}
	var s statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return nil, Provenance{}, malformed("the statement is not in-toto's JSON", err)
	}
	if s.Type != statementType || s.PredicateType != provenanceType {
		return nil, Provenance{}, malformed(fmt.Sprintf("the statement is %q about %q; want %q", s.Type, s.PredicateType, provenanceType), nil)
	}
	var p Provenance
	if err := json.Unmarshal(s.Predicate, &p); err != nil {
		return nil, Provenance{}, malformed("the provenance can't be read", err)
	}
	return s.Subject, p, nil
}
