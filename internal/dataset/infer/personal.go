package infer

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// personalNames are words, or neighbouring words, in the names of columns that
// say something about people.
var personalNames = []string{
	"email", "e mail", "mail", "phone", "telephone", "mobile", "fax", "ssn", "social security", "passport", "tax id", "national id",
	"first name", "last name", "full name", "given name", "family name", "surname", "firstname", "lastname", "fullname", "customer name",
	"user name", "username", "person", "address", "street", "postcode", "zip", "zipcode", "birth", "birthday", "birthdate", "dob",
	"iban", "card number", "credit card", "ip", "ip address", "gender", "sex", "religion", "ethnicity", "nationality", "diagnosis", "salary", "licence plate", "license plate",
}

// personalValues are what values of people look like.
var personalValues = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"e-mail addresses", regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$`)},
	{"social security numbers", regexp.MustCompile(`^\d{3}-\d{2}-\d{4}$`)},
	{"phone numbers", regexp.MustCompile(`^(\+\d[\d ()/.-]{6,17}\d|\(?\d{3}\)?[ -]\d{3}-\d{4})$`)},
	{"addresses of hosts", regexp.MustCompile(`^(\d{1,3}\.){3}\d{1,3}$`)},
	{"account numbers (IBAN)", regexp.MustCompile(`^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$`)},
}

// personal guesses which columns are sensitive, from names and values.
func (g *Guess) personal() {
	columns := maps.Clone(g.Data.Columns)
	if columns == nil {
		columns = map[string]models.ColumnSpec{}
	}
	for i := range g.source.Profile.Columns {
		c := &g.source.Profile.Columns[i]
		reason := looksPersonal(c)
		if spec := columns[c.Name]; spec.Sensitive == "" && reason != "" {
			spec.Sensitive = models.SensitiveKeep
			columns[c.Name] = spec
			g.why["columns."+c.Name] = "a guess: " + reason
		}
	}
	g.Data.Columns = columns
}

// looksPersonal says why; empty: it does not. No value is in the reason.
func looksPersonal(c *profile.Column) string {
	words := " " + strings.Join(wordsOf(c.Name), " ") + " "
	named := slices.ContainsFunc(personalNames, func(name string) bool { return strings.Contains(words, " "+name+" ") })
	if named || c.Name == "name" {
		return "its name is one of personal data"
	}
	if c.Type != dataset.TypeString || c.Values == nil || len(c.Values.Top) == 0 {
		return ""
	}
	for _, kind := range personalValues {
		like := 0
		for _, v := range c.Values.Top {
			if kind.pattern.MatchString(v.Value) {
				like++
			}
		}
		if 2*like >= len(c.Values.Top) {
			return "its values look like " + kind.what
		}
	}
	return ""
}
