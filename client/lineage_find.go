package client

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// find resolves model/version and model@alias.
func (l *lineage) find(ctx context.Context, target string) (versionSeen, error) {
	model, number, byNumber := cutLast(target, "/")
	alias := ""
	if !byNumber {
		model, alias, _ = cutLast(target, "@")
	}
	steward := l.steward(ctx, model)
	listed, err := l.listed(ctx, model)
	if err != nil {
		return versionSeen{}, err
	}
	if alias != "" {
		if number = l.byAlias(ctx, model, alias); number == "" {
			return versionSeen{}, fmt.Errorf("%s has no version with the alias %s%s", model, alias, l.instead(target, steward, listed))
		}
	}
	found := versionSeen{model: model, number: number, own: knownVersion(steward.status, number)}
	for i, v := range listed {
		if v.Version == number {
			found.listed = &listed[i]
		}
	}
	if found.own == nil && found.listed == nil {
		if steward.err != nil && len(listed) == 0 {
			return versionSeen{}, steward.err // it knows which models there are
		}
		return versionSeen{}, fmt.Errorf("there is no version %s of %s%s", number, model, l.instead(target, steward, listed))
	}
	return found, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// instead names the nearest of what there is.
func (l *lineage) instead(target string, steward *stewardSeen, listed []mlflow.ModelVersion) string {
	var names []string
	for alias, number := range aliasesOf(steward.status) {
		if number != "" {
			names = append(names, steward.status.Model+"@"+alias)
		}
	}
	slices.Sort(names)
	for _, v := range steward.status.Versions {
		names = append(names, versionName(steward.status.Model, v.Version))
	}
	for _, v := range listed {
		names = append(names, versionName(v.Model, v.Version))
	}
	if near := models.Nearest(target, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

func aliasesOf(s models.StewardStatus) map[string]string {
	return map[string]string{models.AliasChampion: s.Champion, models.AliasChallenger: s.Challenger, models.AliasPrevious: s.Previous}
}

// listed are a model's versions in MLflow.
func (l *lineage) listed(ctx context.Context, model string) ([]mlflow.ModelVersion, error) {
	if l.tracking == nil {
		return nil, nil
	}
	if err := mlflow.CheckModelName(model); err != nil {
		return nil, err // it would be part of a filter
	}
	found, err := l.tracking.SearchModelVersions(ctx, fmt.Sprintf("name = '%s'", model))
	l.lost(err)
	return found, nil
}

func (l *lineage) byAlias(ctx context.Context, model, alias string) string {
	if number := aliasesOf(l.steward(ctx, model).status)[alias]; number != "" || l.tracking == nil {
		return number
	}
	found, err := l.tracking.GetRegisteredModel(ctx, model)
	l.lost(err)
	return found.Aliases[alias]
}
