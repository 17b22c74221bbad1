package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

// task is one row of a task list.
type task struct {
	name                string
	cpuMilli, memoryMiB int64
	gpus                int
	milli               int64 // of each GPU
	models              []string
}

type listOf struct {
	name  string
	tasks []task
}

// asked is what a task asks of the GPUs, in thousandths.
func (t task) asked() int64 { return int64(t.gpus) * t.milli }

// gang is a task as the product sees a request.
func (t task) gang() fit.Gang {
	return fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: t.gpus, Milli: t.milli, Models: t.models, NodeCPUMilli: t.cpuMilli, NodeMemoryMiB: t.memoryMiB}
}

func readTasks(path string) ([]task, error) {
	rows, err := readCSV("-tasks", path, "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
	if err != nil {
		return nil, err
	}
	var tasks []task
	for _, r := range rows {
		t := task{name: r.text["name"], cpuMilli: r.number("cpu_milli"), memoryMiB: r.number("memory_mib"), gpus: int(r.number("num_gpu")), milli: r.number("gpu_milli")}
		if spec := r.text["gpu_spec"]; spec != "" {
			t.models = strings.Split(spec, "|")
		}
		if r.err != nil {
			return nil, r.err
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

func readHosts(path string) ([]models.NodeInfo, error) {
	rows, err := readCSV("-nodes", path, "sn", "cpu_milli", "memory_mib", "gpu", "model")
	if err != nil {
		return nil, err
	}
	var hosts []models.NodeInfo
	for _, r := range rows {
		h := models.NodeInfo{Node: r.text["sn"], CPUMilli: r.number("cpu_milli"), MemoryMiB: r.number("memory_mib")}
		for i := range r.number("gpu") {
			h.Devices = append(h.Devices, models.Device{UUID: fmt.Sprintf("%s-%d", h.Node, i), Model: r.text["model"], Index: int(i), Vendor: models.VendorVirtual})
		}
		if r.err != nil {
			return nil, r.err
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// row is a line of a CSV file by the names of its columns; err is the first
// number that is none.
type row struct {
	where string
	text  map[string]string
	err   error
}

func (r *row) number(column string) int64 {
	n, err := strconv.ParseInt(r.text[column], 10, 64)
	if err != nil && r.text[column] != "" && r.err == nil {
		r.err = fmt.Errorf("%s: %s is %q, not a whole number", r.where, column, r.text[column])
	}
	return n
}

func readCSV(flag, path string, columns ...string) ([]*row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; %s", flag, err, originals)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", flag, path, err)
	}
	if len(lines) < 2 {
		return nil, fmt.Errorf("%s: %s has no rows", flag, path)
	}
	for _, column := range columns {
		if !strings.Contains(","+strings.Join(lines[0], ",")+",", ","+column+",") {
			return nil, fmt.Errorf("%s: %s has no column %s; %s", flag, path, column, originals)
		}
	}
	var rows []*row
	for i, line := range lines[1:] {
		r := &row{where: fmt.Sprintf("%s:%d", path, i+2), text: map[string]string{}}
		for j, column := range lines[0] {
			r.text[column] = line[j]
		}
		rows = append(rows, r)
	}
	return rows, nil
}
