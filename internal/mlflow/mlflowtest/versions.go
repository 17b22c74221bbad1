package mlflowtest

import "maps"

type newVersion struct {
	Name        string `json:"name"`
	Source      string `json:"source"`
	RunID       string `json:"run_id"`
	Description string `json:"description"`
	Tags        []pair `json:"tags"`
}

type versionRequest struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Description string `json:"description"`
	pair
}

type versionSearch struct {
	Filter     string `json:"filter"`
	MaxResults number `json:"max_results"`
	Token      string `json:"page_token"`
}

func (s *Server) versionRoutes() {
	handle(s, "POST model-versions/create", s.createVersion)
	handle(s, "GET model-versions/get", func(in versionRequest) (object, *failure) {
		v, failed := s.version(in.Name, in.Version)
		if failed != nil {
			return nil, failed
		}
		return object{"model_version": v.object()}, nil
	})
	handle(s, "GET model-versions/search", s.searchVersions)
	handle(s, "POST model-versions/set-tag", func(in versionRequest) (object, *failure) {
		v, failed := s.version(in.Name, in.Version)
		if failed == nil {
			failed = checkTag(in.pair, 100_000)
		}
		if failed == nil {
			v.tags[in.Key] = in.Value
		}
		return nil, failed
	})
	handle(s, "DELETE model-versions/delete-tag", func(in versionRequest) (object, *failure) {
		v, failed := s.version(in.Name, in.Version)
		if failed == nil {
			delete(v.tags, in.Key)
		}
		return nil, failed
	})
	handle(s, "PATCH model-versions/update", func(in versionRequest) (object, *failure) {
		v, failed := s.version(in.Name, in.Version)
		if failed != nil {
			return nil, failed
		}
		v.description = in.Description
		return object{"model_version": v.object()}, nil
	})
	handle(s, "DELETE model-versions/delete", func(in versionRequest) (object, *failure) {
		v, failed := s.version(in.Name, in.Version)
		if failed == nil {
			v.deleted = true
			maps.DeleteFunc(v.model.aliases, func(_, number string) bool { return number == in.Version })
		}
		return nil, failed
	})
}

func (s *Server) createVersion(in newVersion) (object, *failure) {
	if in.Source == "" {
		return nil, invalid("Missing value for required parameter 'source'.")
	}
	m, failed := s.model(in.Name)
	if failed != nil {
		return nil, failed
	}
	v := &version{model: m, number: len(m.versions) + 1, source: in.Source, runID: in.RunID,
		description: in.Description, created: s.now(), tags: toMap(in.Tags)}
	m.versions = append(m.versions, v)
	return object{"model_version": v.object()}, nil
}

func (s *Server) searchVersions(in versionSearch) (object, *failure) {
	terms, failed := parseFilter(in.Filter)
	if failed != nil {
		return nil, failed
	}
	var found []object
	for _, v := range s.live() {
		if terms.match(v.field) {
			found = append(found, v.object())
		}
	}
	part, next, failed := page(found, in.MaxResults, in.Token)
	if failed != nil {
		return nil, failed
	}
	return object{"model_versions": part, "next_page_token": next}, nil
}
