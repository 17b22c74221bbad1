// Command placement replays Experiment A of the FGD paper (Weng et al., USENIX
// ATC 2023) through the product's own index and policy: tasks arrive one after
// the other on the 1,213 GPU hosts of Alibaba's openb trace, none departs, and
// what counts is how much of the GPUs is allocated when 130 % of them have been
// asked for.
//
// Vocabulary: a list is a file of tasks; a seed gives one order of arrival; a
// replay is one list in one order.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
)

// originals is where the traces were published.
const originals = "the public originals are in https://github.com/alibaba/clusterdata, folder cluster-trace-gpu-v2023/csv"

type options struct {
	nodes, tasks, lists string
	seeds               []int64
	policies            []fit.Policy
	json, markdown      bool
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "placement:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	hosts, err := readHosts(o.nodes)
	if err != nil {
		return err
	}
	var results []result
	for _, path := range o.paths() {
		tasks, err := readTasks(path)
		if err != nil {
			return err
		}
		for _, policy := range o.policies {
			results = append(results, measure(hosts, listOf{name: listName(path), tasks: tasks}, policy, o.seeds))
		}
	}
	switch {
	case o.markdown:
		return writeMarkdown(out, results, o.policies)
	case o.json && len(results) == 1:
		return json.NewEncoder(out).Encode(results[0])
	case o.json:
		return json.NewEncoder(out).Encode(results)
	}
	return writeTable(out, results)
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("placement", flag.ContinueOnError)
	traces := os.Getenv("MAINSPRING_TRACES")
	nodes, tasks := "", ""
	if traces != "" {
		nodes = filepath.Join(traces, "openb", "openb_node_list_gpu_node.csv")
		tasks = filepath.Join(traces, "openb", "openb_pod_list_default.csv")
	}
	flags.StringVar(&o.nodes, "nodes", nodes, "CSV of hosts: sn,cpu_milli,memory_mib,gpu,model; default: from the folder MAINSPRING_TRACES")
	flags.StringVar(&o.tasks, "tasks", tasks, "CSV of tasks: name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec")
	flags.StringVar(&o.lists, "lists", "", "folder of task lists (openb_pod_list_*.csv) to replay one after the other, instead of -tasks")
	seeds := flags.String("seeds", "42-51", "orders of arrival, such as 42-51 or 42,43")
	policy := flags.String("policy", string(fit.PolicyDefault), "policies, separated by commas: default is the product's, the others are for comparison: "+names(fit.Policies()))
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.BoolVar(&o.markdown, "markdown", false, "print the table of docs/placement.md")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.seeds, err = parseSeeds(*seeds); err != nil {
		return o, err
	}
	for _, name := range strings.Split(*policy, ",") {
		if !slices.Contains(fit.Policies(), fit.Policy(name)) {
			return o, fmt.Errorf("-policy: there is no %q; there are %s", name, names(fit.Policies()))
		}
		o.policies = append(o.policies, fit.Policy(name))
	}
	if o.nodes == "" {
		return o, errors.New("-nodes: name the file openb_node_list_gpu_node.csv; " + originals)
	}
	if len(o.paths()) == 0 {
		return o, errors.New("-tasks or -lists: name a file openb_pod_list_*.csv or a folder with them; " + originals)
	}
	return o, nil
}

func (o options) paths() []string {
	if o.lists == "" && o.tasks == "" {
		return nil
	}
	if o.lists == "" {
		return []string{o.tasks}
	}
	paths, _ := filepath.Glob(filepath.Join(o.lists, "openb_pod_list_*.csv")) // the pattern is well formed
	slices.Sort(paths)
	return paths
}

func names(policies []fit.Policy) string {
	var list []string
	for _, p := range policies {
		list = append(list, string(p))
	}
	return strings.Join(list, ", ")
}

// parseSeeds reads "42-51", "42,43" or both.
func parseSeeds(text string) ([]int64, error) {
	var seeds []int64
	for _, piece := range strings.Split(text, ",") {
		first, last, span := strings.Cut(piece, "-")
		if !span {
			last = first
		}
		a, errA := strconv.ParseInt(first, 10, 64)
		b, errB := strconv.ParseInt(last, 10, 64)
		if errA != nil || errB != nil || b < a || b-a >= 10_000 {
			return nil, fmt.Errorf("-seeds: %q is neither a seed such as 42 nor a span such as 42-51", piece)
		}
		for s := a; s <= b; s++ {
			seeds = append(seeds, s)
		}
	}
	return seeds, nil
}

func listName(path string) string {
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "openb_pod_list_"), ".csv")
}
