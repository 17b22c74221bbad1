package client

import (
	"context"
	"fmt"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Version asks a model's steward for one of its versions: by its number, or by
// the alias champion, challenger or previous.
func (c *Client) Version(ctx context.Context, model, name string) (models.ModelVersion, error) {
	status, err := c.Steward(ctx, model)
	if err != nil {
		return models.ModelVersion{}, err
	}
	version := name
	if of, isAlias := aliasesOf(status)[name]; isAlias {
		if of == "" {
			return models.ModelVersion{}, fmt.Errorf("%s has no %s: %s", model, name, standing(status, ""))
		}
		version = of
	}
	known := knownVersion(status, version)
	if known == nil {
		return models.ModelVersion{}, fmt.Errorf("%s has no version %s; its steward knows %s", model, name, versionNames(status))
	}
	return *known, nil
}

func versionNames(status models.StewardStatus) string {
	if len(status.Versions) == 0 {
		return "none yet"
	}
	var names []string
	for _, v := range status.Versions {
		names = append(names, v.Version)
	}
	return strings.Join(names, ", ")
}
