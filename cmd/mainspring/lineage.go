package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

func newLineageCommand() *cobra.Command {
	var stateDir string
	var asJSON bool
	command := &cobra.Command{
		Use:   "lineage MODEL/VERSION | MODEL@ALIAS | SNAPSHOT",
		Short: "Print what a model version or a snapshot was made of, and what was made of it",
		Long: "Prints the way of the data, up and down: sources, preparing program, snapshot, lifecycle, MLflow run, model\n" +
			"version, endpoints, and the retrainings that a version led to. Of a snapshot it prints everything that used\n" +
			"it, candidates that were refused included. A digest may be shortened. MLflow may be down: what is missing\n" +
			"is said at the end.",
		Example: "  mainspring lineage flight-delay/3\n  mainspring lineage flight-delay@champion --json\n  mainspring lineage 5f1c22ab",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			graph, err := findLineage(command.Context(), stateDir, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(command.OutOrStdout(), graph)
			}
			return printLineage(command.OutOrStdout(), graph)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print the graph's nodes and edges as JSON")
	command.Flags().StringVar(&stateDir, "state-dir", "", stateDirUsage)
	return command
}

func findLineage(ctx context.Context, stateDir, target string) (graph models.LineageGraph, err error) {
	stack, err := findStack(stateDir)
	if err != nil {
		return graph, err
	}
	var sources client.LineageSources
	if sources.Store, err = stores.Open(storeEnv(stack)); err != nil {
		return graph, err
	}
	if tracking, err := openTracking(stack); err == nil {
		sources.Tracking = tracking // without, the graph says what is missing
	}
	err = connect(ctx, stateDir, func(ctx context.Context, c *client.Client) error {
		graph, err = c.Lineage(ctx, sources, target)
		return err
	})
	return graph, err
}

// printLineage writes a graph as two trees: what its root was made of, and what
// was made of it.
func printLineage(w io.Writer, graph models.LineageGraph) error {
	p := lineagePrinter{w: w, nodes: map[string]models.LineageNode{}, told: map[string]bool{}}
	for _, n := range graph.Nodes {
		p.nodes[n.ID] = n
	}
	p.told[graph.Root] = true
	p.node("", "  ", graph.Root, "%s")
	for _, d := range []direction{
		{"Made of", "%s → %s", func(id string) []models.LineageEdge { return turned(graph.Edges, id) }},
		{"Led to", "%[2]s: %[1]s", func(id string) []models.LineageEdge { return leaving(graph.Edges, id) }},
	} {
		if len(d.next(graph.Root)) > 0 {
			p.line("\n%s", d.title)
			p.branches("", graph.Root, d)
		}
	}
	for i, missing := range graph.Missing {
		if i == 0 {
			p.line("\nMissing")
		}
		p.line("  %s", terminal.Plain(missing))
	}
	return p.err
}

// direction is one of the two ways to go from a node.
type direction struct {
	title string
	// words write a node and the relation that leads to it.
	words string
	next  func(id string) []models.LineageEdge
}

// leaving are the edges that begin at a node.
func leaving(edges []models.LineageEdge, id string) (found []models.LineageEdge) {
	for _, e := range edges {
		if e.From == id {
			found = append(found, e)
		}
	}
	return found
}

// turned are the edges that end at a node, the other way round.
func turned(edges []models.LineageEdge, id string) (found []models.LineageEdge) {
	for _, e := range edges {
		if e.To == id {
			found = append(found, models.LineageEdge{From: e.To, To: e.From, Relation: e.Relation})
		}
	}
	return found
}

type lineagePrinter struct {
	w     io.Writer
	nodes map[string]models.LineageNode
	told  map[string]bool // by ID
	err   error
}

func (p *lineagePrinter) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// branches writes what follows a node. A node that is there already is only
// named.
func (p *lineagePrinter) branches(indent, id string, d direction) {
	edges := d.next(id)
	for i, e := range edges {
		first, rest := "├─ ", "│  "
		if i == len(edges)-1 {
			first, rest = "└─ ", "   "
		}
		if p.told[e.To] {
			p.line("%s%s%s, see above", indent, first, fmt.Sprintf(d.words, nameOf(p.nodes[e.To]), e.Relation))
			continue
		}
		p.told[e.To] = true
		facts := indent + rest + "   "
		if len(d.next(e.To)) > 0 {
			facts = indent + rest + "│  "
		}
		p.node(indent+first, facts, e.To, d.words, e.Relation)
		p.branches(indent+rest, e.To, d)
	}
}

// node writes a node and its facts.
func (p *lineagePrinter) node(first, rest, id, words string, relation ...any) {
	n := p.nodes[id]
	text := nameOf(n)
	if !n.At.IsZero() {
		text += n.At.UTC().Format(", 2006-01-02 15:04")
	}
	p.line("%s%s", first, fmt.Sprintf(words, append([]any{terminal.Plain(text)}, relation...)...))
	for _, f := range n.Facts {
		p.line("%s%s: %s", rest, terminal.Plain(f.Name), terminal.Plain(f.Value))
	}
	if n.URL != "" {
		p.line("%s%s", rest, n.URL)
	}
}

// nameOf is a node's kind and name. Of a digest twelve digits are enough, and a
// workflow's ID mostly says what it is.
func nameOf(n models.LineageNode) string {
	name := strings.TrimSpace(terminal.Plain(n.Name))
	if n.Kind == models.NodeSnapshot {
		name = fmt.Sprintf("%.12s", name)
	}
	if strings.HasPrefix(name, string(n.Kind)+"/") {
		return name
	}
	return string(n.Kind) + " " + name
}
