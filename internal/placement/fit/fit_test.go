package fit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

func host(name, model string, devices int, cores int64) fit.Host {
	h := fit.Host{NodeInfo: models.NodeInfo{Node: name, Address: name + ":1", CPUMilli: cores * 1000, MemoryMiB: 1 << 20}}
	for i := range devices {
		h.Devices = append(h.Devices, models.Device{UUID: fmt.Sprintf("%s-%d", name, i), Model: model, MemoryMiB: 80_000, Index: i})
	}
	return h
}

func cluster(hosts ...fit.Host) *fit.Cluster {
	c := fit.New()
	for _, h := range hosts {
		c.Upsert(h)
	}
	return c
}

// text writes parts down as "a:a-0,a-1 b:b-0".
func text(parts []models.LeaseNode) string {
	var words []string
	for _, p := range parts {
		var uuids []string
		for _, d := range p.Devices {
			uuids = append(uuids, d.UUID)
		}
		words = append(words, p.Node+":"+strings.Join(uuids, ","))
	}
	return strings.Join(words, " ")
}

func TestPickSmallScenarios(t *testing.T) {
	mig := host("m", "A100", 0, 64)
	mig.Devices = []models.Device{{UUID: "gpu", Model: "A100"}, {UUID: "mig-1", Model: "A100", Parent: "gpu", MIGProfile: "1g.10gb"}}
	labelled := host("z", "H200", 2, 64)
	labelled.Labels = map[string]string{"region": "eu"}
	closed := host("0", "H200", 8, 64)
	closed.Closed = true
	out := host("o", "L4", 2, 64)
	out.Out = []string{"o-0"}
	c := cluster(host("a", "H200", 8, 64), host("b", "H200", 8, 64), host("c", "T4", 4, 8), mig, labelled, closed, out)
	for name, test := range map[string]struct {
		gang fit.Gang
		want string // "": it does not fit
	}{
		"gang on two hosts":           {fit.Gang{MinNodes: 2, MaxNodes: 2, PerNode: 8, Models: []string{"h200"}}, "a:a-0,a-1,a-2,a-3,a-4,a-5,a-6,a-7 b:b-0,b-1,b-2,b-3,b-4,b-5,b-6,b-7"},
		"as large as it may be":       {fit.Gang{MinNodes: 1, MaxNodes: 5, PerNode: 7}, "a:a-0,a-1,a-2,a-3,a-4,a-5,a-6 b:b-0,b-1,b-2,b-3,b-4,b-5,b-6"},
		"a closed host gives nothing": {fit.Gang{MinNodes: 3, MaxNodes: 3, PerNode: 8}, ""},
		"cores bind":                  {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 4, Models: []string{"T4"}, CPUMilli: 3000}, ""},
		"cores suffice":               {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 4, Models: []string{"T4"}, CPUMilli: 2000}, "c:c-0,c-1,c-2,c-3"},
		"label":                       {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 1, Labels: map[string]string{"region": "eu"}}, "z:z-0"},
		"a cut GPU is not whole":      {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 1, Models: []string{"A100"}}, ""},
		"MIG instance":                {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 1, MIGProfile: "1g.10gb"}, "m:mig-1"},
		"MIG instance by UUID":        {fit.Gang{UUIDs: []string{"mig-1"}}, "m:mig-1"},
		"named devices":               {fit.Gang{UUIDs: []string{"b-3", "a-1", "b-0"}}, "a:a-1 b:b-0,b-3"},
		"named, out of use":           {fit.Gang{UUIDs: []string{"o-0"}}, ""},
		"out of use":                  {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 2, Models: []string{"L4"}}, ""},
		"unknown device":              {fit.Gang{UUIDs: []string{"x"}}, ""},
		"excluded device":             {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 8, Exclude: []string{"a-0"}}, "b:b-0,b-1,b-2,b-3,b-4,b-5,b-6,b-7"},
		"avoided comes last":          {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 8, Avoid: []string{"a"}}, "b:b-0,b-1,b-2,b-3,b-4,b-5,b-6,b-7"},
		"avoided when needed":         {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 8, Avoid: []string{"a", "b"}}, "a:a-0,a-1,a-2,a-3,a-4,a-5,a-6,a-7"},
		"packed on few hosts":         {fit.Gang{Total: 10, Models: []string{"H200"}}, "a:a-0,a-1,a-2,a-3,a-4,a-5,a-6,a-7 z:z-0,z-1"},
		"spread over many":            {fit.Gang{Total: 4, Spread: true, Models: []string{"H200"}}, "a:a-0,a-1 b:b-0 z:z-0"},
		"too large a total":           {fit.Gang{Total: 19, Models: []string{"H200"}}, ""},
		"device memory":               {fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 1, MemoryMiB: 90_000}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			parts, ok := c.Pick(test.gang)
			require.Equal(t, test.want != "", ok, text(parts))
			if ok {
				require.Equal(t, test.want, text(parts))
			}
		})
	}
}

func TestAMovedDeviceIsOne(t *testing.T) {
	twin := host("b", "H200", 1, 64)
	twin.Devices[0].UUID = "a-0"
	c := cluster(host("a", "H200", 1, 64), twin)
	_, ok := c.Pick(fit.Gang{MinNodes: 2, MaxNodes: 2, PerNode: 1})
	require.False(t, ok)
	parts, ok := c.Pick(fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 1})
	require.True(t, ok)
	c.Take(parts)
	_, ok = c.Pick(fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 1, Milli: 1})
	require.False(t, ok)
}

func TestLinkedDevicesGoTogether(t *testing.T) {
	h := host("a", "H200", 4, 64)
	for i, peer := range []string{"a-3", "a-2", "a-1", "a-0"} {
		h.Devices[i].Links = []string{peer}
	}
	c := cluster(h)
	parts, _ := c.Pick(fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 2})
	require.Equal(t, "a:a-0,a-3", text(parts))
	require.Nil(t, parts[0].Devices[0].Links)
}

func TestPossibleSaysWhatIsMissing(t *testing.T) {
	c := cluster(host("a", "H200", 8, 64), host("b", "H200", 8, 64))
	taken, _ := c.Pick(fit.Gang{MinNodes: 2, MaxNodes: 2, PerNode: 8})
	c.Take(taken)
	require.Empty(t, c.Possible(fit.Gang{MinNodes: 2, MaxNodes: 2, PerNode: 8}))
	require.Equal(t, "needs 3 nodes × 8 H200; 2 nodes of the pool could hold one: a 8, b 8", c.Possible(fit.Gang{MinNodes: 3, MaxNodes: 3, PerNode: 8, Models: []string{"H200"}}))
	require.Contains(t, c.Possible(fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 1, Models: []string{"B200"}}), "it has H200")
	require.Contains(t, c.Possible(fit.Gang{UUIDs: []string{"x"}}), "no host of the pool has device x")
	require.Contains(t, c.Possible(fit.Gang{Total: 17}), "together have 16")
}

// gangs draws requests of one host or more, of whole devices or of shares.
func gangs() *rapid.Generator[fit.Gang] {
	return rapid.Custom(func(t *rapid.T) fit.Gang {
		g := fit.Gang{Milli: rapid.SampledFrom([]int64{250, 460, 1000}).Draw(t, "milli"), CPUMilli: 1000 * rapid.Int64Range(0, 5).Draw(t, "cores")}
		if rapid.Bool().Draw(t, "H200") {
			g.Models = []string{"H200"}
		}
		g.Exclude = rapid.SampledFrom([][]string{nil, {"n0-0"}}).Draw(t, "exclude")
		switch rapid.IntRange(0, 2).Draw(t, "way") {
		case 0:
			g.MinNodes = rapid.IntRange(1, 3).Draw(t, "min")
			g.MaxNodes, g.PerNode = g.MinNodes+rapid.IntRange(0, 2).Draw(t, "more"), rapid.IntRange(1, 4).Draw(t, "per")
		default:
			g.Total, g.Spread = rapid.IntRange(1, 9).Draw(t, "total"), rapid.Bool().Draw(t, "spread")
		}
		return g
	})
}

// oracle counts, the slow way, what each model's hosts can give, from nothing
// but the hosts and the leases.
func oracle(hosts []fit.Host, leases [][]models.LeaseNode, g fit.Gang) bool {
	for _, model := range []string{"H200", "T4"} {
		if len(g.Models) > 0 && !slices.Contains(g.Models, model) {
			continue
		}
		sum, full := 0, 0
		for _, h := range hosts {
			free, cpu := map[string]int64{}, h.CPUMilli
			for _, l := range leases {
				for _, p := range l {
					if p.Node == h.Node {
						cpu -= p.CPUMilli
						for _, d := range p.Devices {
							free[d.UUID] -= d.Share()
						}
					}
				}
			}
			room := 0
			for _, d := range h.Devices {
				if d.Model == model && 1000+free[d.UUID] >= g.Milli && !slices.Contains(g.Exclude, d.UUID) && int64(room+1)*g.CPUMilli <= cpu {
					room++
				}
			}
			if h.Closed {
				room = 0
			}
			sum += room
			if g.PerNode > 0 && room >= g.PerNode {
				full++
			}
		}
		if g.Total > 0 && sum >= g.Total || g.Total == 0 && full >= g.MinNodes {
			return true
		}
	}
	return false
}

// Against the oracle: Pick finds a place exactly when there is one, what it
// picks holds every limit, the index equals one made anew, in another order.
func TestPickAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var hosts []fit.Host
		c := fit.New()
		for i := range 5 {
			h := host(fmt.Sprintf("n%d", i), []string{"H200", "T4"}[i%2], 1+i, int64(4+3*i))
			hosts = append(hosts, h)
			c.Upsert(h)
		}
		var leases [][]models.LeaseNode
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "do") {
			case 0:
				if len(leases) > 0 {
					at := rapid.IntRange(0, len(leases)-1).Draw(t, "give")
					c.Give(leases[at])
					leases = slices.Delete(leases, at, at+1)
				}
			case 1:
				at := rapid.IntRange(0, len(hosts)-1).Draw(t, "host")
				if rapid.Bool().Draw(t, "forget") {
					c.Remove(hosts[at].Node)
				} else {
					hosts[at].Closed = !hosts[at].Closed
				}
				c.Upsert(hosts[at])
			default:
				g := gangs().Draw(t, "gang")
				parts, ok := c.Pick(g)
				if want := oracle(hosts, leases, g); ok != want {
					t.Fatalf("%+v: picked %v (%s), oracle %v", g, ok, text(parts), want)
				}
				again := fit.New()
				for i := len(hosts) - 1; i >= 0; i-- {
					again.Upsert(hosts[i])
				}
				for _, l := range leases {
					again.Take(l)
				}
				if anew, _ := again.Pick(g); text(anew) != text(parts) {
					t.Fatalf("%+v: %s, made anew %s", g, text(parts), text(anew))
				}
				if ok {
					c.Take(parts)
					leases = append(leases, parts)
					holds(t, hosts, leases, g, parts)
				}
			}
		}
	})
}

// holds checks the limits of hosts and gang.
func holds(t *rapid.T, hosts []fit.Host, leases [][]models.LeaseNode, g fit.Gang, parts []models.LeaseNode) {
	milli, cpu := map[string]int64{}, map[string]int64{}
	for _, l := range leases {
		for _, p := range l {
			cpu[p.Node] += p.CPUMilli
			for _, d := range p.Devices {
				milli[d.UUID] += d.Share()
			}
		}
	}
	for _, h := range hosts {
		if cpu[h.Node] > h.CPUMilli {
			t.Fatalf("%s: %d of %d cores", h.Node, cpu[h.Node], h.CPUMilli)
		}
	}
	devices, model := 0, parts[0].Devices[0].Model
	for _, p := range parts {
		devices += len(p.Devices)
		seen := map[string]bool{}
		for _, d := range p.Devices {
			if milli[d.UUID] > models.WholeGPU || seen[d.UUID] || d.Model != model || slices.Contains(g.Exclude, d.UUID) {
				t.Fatalf("%+v: %s is wrong in %s", g, d.UUID, text(parts))
			}
			seen[d.UUID] = true
		}
	}
	if g.Total > 0 && devices != g.Total || g.Total == 0 && devices != len(parts)*g.PerNode {
		t.Fatalf("%+v: %d devices", g, devices)
	}
}

func TestTheMixIsBoundedAndKept(t *testing.T) {
	c := fit.New()
	for i := range 200 {
		c.Observe(fit.Gang{MinNodes: 1, PerNode: 1, CPUMilli: int64(i)})
	}
	require.Len(t, c.Shapes(), 64)
	other := fit.New()
	other.Learn(c.Shapes())
	require.Equal(t, c.Shapes(), other.Shapes())
}

func BenchmarkPick(b *testing.B) {
	c := fit.New()
	for i := range 1250 {
		c.Upsert(host(fmt.Sprintf("n%04d", i), "H200", 8, 128))
	}
	g := fit.Gang{MinNodes: 1, MaxNodes: 1, PerNode: 1, CPUMilli: 8000}
	var leases [][]models.LeaseNode
	for b.Loop() {
		parts, ok := c.Pick(g)
		if !ok {
			for _, l := range leases {
				c.Give(l)
			}
			leases = leases[:0]
			continue
		}
		c.Take(parts)
		leases = append(leases, parts)
	}
}
