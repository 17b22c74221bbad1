package mlflowtest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type model struct {
	name, description string
	tags              map[string]string
	aliases           map[string]string
	versions          []*version // index is the number minus 1; deleted ones stay
}

type version struct {
	model       *model
	number      int
	source      string
	runID       string
	description string
	created     int64
	tags        map[string]string
	deleted     bool
}

func (s *Server) model(name string) (*model, *failure) {
	if m, ok := s.models[name]; ok {
		return m, nil
	}
	return nil, missing("Registered Model with name=%s not found", name)
}

func (s *Server) version(name, number string) (*version, *failure) {
	if m, ok := s.models[name]; ok {
		n, err := strconv.Atoi(number)
		if err == nil && n >= 1 && n <= len(m.versions) && !m.versions[n-1].deleted {
			return m.versions[n-1], nil
		}
	}
	return nil, missing("Model Version (name=%s, version=%s) not found", name, number)
}

type modelName struct {
	Name string `json:"name"`
}

type newModel struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Tags        []pair `json:"tags"`
}

type modelTag struct {
	Name string `json:"name"`
	pair
}

type aliasRequest struct {
	Name    string `json:"name"`
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

func (s *Server) modelRoutes() {
	handle(s, "POST registered-models/create", s.createModel)
	handle(s, "GET registered-models/get", func(in modelName) (object, *failure) {
		m, failed := s.model(in.Name)
		if failed != nil {
			return nil, failed
		}
		aliases := []object{}
		for _, a := range sorted(m.aliases) {
			aliases = append(aliases, object{"alias": a, "version": m.aliases[a]})
		}
		return object{"registered_model": object{"name": m.name, "description": m.description,
			"tags": toPairs(m.tags), "aliases": aliases}}, nil
	})
	handle(s, "POST registered-models/set-tag", func(in modelTag) (object, *failure) {
		m, failed := s.model(in.Name)
		if failed == nil {
			failed = checkTag(in.pair, 100_000)
		}
		if failed == nil {
			m.tags[in.Key] = in.Value
		}
		return nil, failed
	})
	handle(s, "DELETE registered-models/delete-tag", func(in modelTag) (object, *failure) {
		m, failed := s.model(in.Name)
		if failed == nil {
			delete(m.tags, in.Key)
		}
		return nil, failed
	})
	handle(s, "DELETE registered-models/delete", func(in modelName) (object, *failure) {
		m, failed := s.model(in.Name)
		if failed == nil {
			delete(s.models, m.name)
		}
		return nil, failed
	})
	handle(s, "POST registered-models/alias", s.setAlias)
	handle(s, "DELETE registered-models/alias", func(in aliasRequest) (object, *failure) {
		m, failed := s.model(in.Name)
		if failed == nil {
			delete(m.aliases, in.Alias)
		}
		return nil, failed
	})
	handle(s, "GET registered-models/alias", func(in aliasRequest) (object, *failure) {
		m, failed := s.model(in.Name)
		if failed != nil {
			return nil, failed
		}
		number, ok := m.aliases[in.Alias]
		if !ok {
			return nil, invalid("Registered model alias %s not found.", in.Alias)
		}
		v, failed := s.version(in.Name, number)
		if failed != nil {
			return nil, failed
		}
		return object{"model_version": v.object()}, nil
	})
}

func (s *Server) createModel(in newModel) (object, *failure) {
	switch {
	case in.Name == "":
		return nil, invalid("Missing value for required parameter 'name'.")
	case strings.ContainsAny(in.Name, "/:"):
		return nil, invalid("Invalid model name '%s'. Names cannot contain '/' or ':'.", in.Name)
	case s.models[in.Name] != nil:
		return nil, taken("Registered Model (name=%s) already exists.", in.Name)
	}
	s.models[in.Name] = &model{name: in.Name, description: in.Description, tags: toMap(in.Tags), aliases: map[string]string{}}
	return object{"registered_model": object{"name": in.Name}}, nil
}

func (s *Server) setAlias(in aliasRequest) (object, *failure) {
	switch {
	case strings.EqualFold(in.Alias, "latest"):
		return nil, invalid("'latest' alias name (case insensitive) is reserved.")
	case regexp.MustCompile(`^(?i)v\d+$`).MatchString(in.Alias):
		return nil, invalid("Version alias name '%s' is reserved.", in.Alias)
	case !regexp.MustCompile(`^[\w\-]+$`).MatchString(in.Alias):
		return nil, invalid("Invalid alias name: '%s'.", in.Alias)
	}
	v, failed := s.version(in.Name, in.Version)
	if failed == nil {
		v.model.aliases[in.Alias] = in.Version
	}
	return nil, failed
}

func (v *version) object() object {
	return object{"name": v.model.name, "version": strconv.Itoa(v.number), "creation_timestamp": v.created,
		"current_stage": "None", "status": "READY", "source": v.source, "run_id": v.runID,
		"description": v.description, "tags": toPairs(v.tags)}
}

// field answers a filter's identifier.
func (v *version) field(kind, key string) (string, bool) {
	switch {
	case kind == "tags":
		value, ok := v.tags[key]
		return value, ok
	case kind != "" && kind != "attributes":
		return "", false
	}
	value, ok := map[string]string{"name": v.model.name, "run_id": v.runID, "source_path": v.source,
		"version_number": strconv.Itoa(v.number)}[key]
	return value, ok
}

// live returns all versions, newest first.
func (s *Server) live() []*version {
	var all []*version
	for _, m := range s.models {
		for _, v := range m.versions {
			if !v.deleted {
				all = append(all, v)
			}
		}
	}
	slices.SortFunc(all, func(a, b *version) int { return int(b.created - a.created) })
	return all
}
