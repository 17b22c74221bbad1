package preparation

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// asOf is the moment from which the rides are seen.
func asOf() time.Time { return time.Date(2025, 6, 11, 0, 0, 0, 0, time.UTC) }

func fileName(partition int) string { return fmt.Sprintf("rides-%02d.csv", partition) }

// Secret stands in each row's social security number.
const Secret = "078-05-1120"

// WriteRides writes partitions of rides, one day each, of which the same number
// has always the same bytes.
func WriteRides(dir string, partitions int) error {
	for n := range partitions {
		if err := os.WriteFile(filepath.Join(dir, fileName(n)), []byte(rides(n, "")), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// rides are a day's. A note marks another version of the file.
func rides(partition int, note string) string {
	var text strings.Builder
	text.WriteString("id,at,late,known,km,ssn,note\n")
	day := asOf().AddDate(0, 0, partition-10)
	for i := range 200 {
		at := day.Add(time.Duration(i) * 6 * time.Minute)
		fmt.Fprintf(&text, "ride-%02d-%03d,%s,%d,%s,%d.5,%s,%s\n", partition, i, at.Format(time.RFC3339), (i/3)%2,
			at.Add(time.Hour).Format(time.RFC3339), 1+(i*7+partition)%40, Secret, note)
	}
	return text.String()
}

// Spec asks for ten days of rides, of which the last two test.
func Spec(dir string) models.DataSpec {
	some := 0.9
	return models.DataSpec{
		Source: "file://" + dir, Time: "at", Key: "id", Label: "late", LabelTime: "known", Features: []string{"km"},
		AsOf: asOf(), Window: 10 * models.Day, Holdout: 2 * models.Day,
		Columns: map[string]models.ColumnSpec{
			"id": {Type: "string", Sensitive: models.SensitivePseudonymise}, "at": {Type: "timestamp"}, "late": {Type: "int64"}, "known": {Type: "timestamp"},
			"km": {Type: "float64"}, "ssn": {Type: "string", Sensitive: models.SensitiveKeep}, "note": {Type: "string"},
		},
		PseudonymKey: models.SecretFromEnv + keyVariable,
		Checks:       models.DataChecks{MaxNullFraction: map[string]float64{"note": 1}, MaxDuplicates: &some},
	}
}
