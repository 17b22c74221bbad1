package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// WriteReport writes report.json and report.html into a directory. Each
// appears by rename, so that a report is whole or absent.
func WriteReport(dir string, story *Story) error {
	data, err := json.MarshalIndent(story, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	page, err := renderHTML(story)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for name, content := range map[string][]byte{"report.json": data, "report.html": page} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".tmp", content, 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}
