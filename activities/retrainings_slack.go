package activities

import (
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Slack's limits on the texts of a message, in characters.
const (
	slackHeader  = 150
	slackSection = 3000
)

// slackText and slackBlock are the parts of a message in Slack's Block Kit, as
// incoming webhooks take it: https://api.slack.com/messaging/webhooks.
type slackText struct {
	Type string `json:"type"` // plain_text or mrkdwn
	Text string `json:"text"`
}

type slackBlock struct {
	Type     string      `json:"type"` // header, section or context
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackPost struct {
	Text   string       `json:"text"` // what notifications show
	Blocks []slackBlock `json:"blocks"`
}

func slackMessage(n models.Notice) slackPost {
	about := fmt.Sprintf("endpoint %s · %s version %s", slackEscape(n.Endpoint), slackEscape(n.Model), slackEscape(n.Version))
	if !n.At.IsZero() {
		about += " · data of " + n.At.UTC().Format(time.DateTime) + " UTC"
	}
	if n.Link != "" {
		about += fmt.Sprintf(" · <%s|monitor>", strings.NewReplacer("<", "%3C", ">", "%3E", "|", "%7C").Replace(n.Link))
	}
	post := slackPost{Text: slackEscape(n.Title), Blocks: []slackBlock{
		{Type: "header", Text: &slackText{Type: "plain_text", Text: shortened(n.Title, slackHeader)}},
	}}
	if n.Text != "" {
		post.Blocks = append(post.Blocks, slackBlock{Type: "section", Text: &slackText{Type: "mrkdwn", Text: section(n.Text)}})
	}
	post.Blocks = append(post.Blocks, slackBlock{Type: "context", Elements: []slackText{{Type: "mrkdwn", Text: about}}})
	return post
}

// slackEscape keeps a text from being read as a link or a mention.
func slackEscape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// section is a text that fits its block when it is escaped.
func section(text string) string {
	escaped := slackEscape(text)
	for most := slackSection; len([]rune(escaped)) > slackSection; most /= 2 {
		escaped = slackEscape(shortened(text, most))
	}
	return escaped
}

func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
