// Package activities has the adapters behind the contract: one struct per
// activity interface of package models, with its dependencies as fields. An
// activity is idempotent, returns *models.Error where the caller can tell
// failures apart, and never imports a workflow.
package activities
