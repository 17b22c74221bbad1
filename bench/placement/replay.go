package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand" //nolint:depguard // the published orders of arrival are those of math/rand
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

// load is the share of the capacity that has been asked for at the end.
const load = 1.3

// result is one list under one policy.
type result struct {
	List           string     `json:"list"`
	Policy         fit.Policy `json:"policy"`
	AllocatedPct   float64    `json:"allocated_pct"` // at load 130 %, mean of the seeds
	AllocatedAt100 float64    `json:"allocated_pct_at_100"`
	IdleGPUs       float64    `json:"idle_gpus"` // at load 130 %
	P50            float64    `json:"decision_p50_us"`
	P99            float64    `json:"decision_p99_us"`
	Max            float64    `json:"decision_max_us"`
	Decisions      int        `json:"decisions"`
	Seeds          []perSeed  `json:"seeds"`
}

type perSeed struct {
	Seed         int64   `json:"seed"`
	AllocatedPct float64 `json:"allocated_pct"`
	Placed       int     `json:"placed"`
	Tasks        int     `json:"tasks"`
}

// measure replays a list under a policy in the order of each seed.
func measure(hosts []models.NodeInfo, list listOf, policy fit.Policy, seeds []int64) result {
	r := result{List: list.name, Policy: policy}
	var took []time.Duration
	capacity := capacityOf(hosts)
	for _, seed := range seeds {
		one := replay(hosts, list.tasks, policy, seed)
		took = append(took, one.took...)
		r.Seeds = append(r.Seeds, perSeed{Seed: seed, AllocatedPct: one.at[130], Placed: one.placed, Tasks: len(one.took)})
		n := float64(len(seeds))
		r.AllocatedPct += one.at[130] / n
		r.AllocatedAt100 += one.at[100] / n
	}
	r.IdleGPUs = (100 - r.AllocatedPct) / 100 * float64(capacity) / models.WholeGPU
	slices.Sort(took)
	r.Decisions = len(took)
	us := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Nanoseconds()) / 1000 }
	r.P50, r.P99, r.Max = us(.5), us(.99), us(1)
	return r
}

// replayed is what one replay showed.
type replayed struct {
	at     map[int]float64 // allocated %, by load in %
	placed int
	took   []time.Duration
}

func replay(hosts []models.NodeInfo, tasks []task, policy fit.Policy, seed int64) replayed {
	capacity := capacityOf(hosts)
	order, named := arrivals(hosts, tasks, capacity, seed)
	cluster := fit.NewWith(policy)
	for _, h := range named {
		cluster.Upsert(fit.Host{NodeInfo: h})
	}
	if policy == fit.PolicyFGD {
		cluster.Learn(typical(tasks))
	}
	one := replayed{at: map[int]float64{}}
	sums, counts := map[int]float64{}, map[int]float64{}
	var asked, allocated int64
	for _, t := range order {
		gang := t.gang()
		began := time.Now()
		if policy != fit.PolicyFGD { // that knows the whole list
			cluster.Observe(gang)
		}
		parts, ok := cluster.Pick(gang)
		if ok {
			cluster.Take(parts)
		}
		one.took = append(one.took, time.Since(began))
		asked += t.asked()
		if ok {
			one.placed++
			allocated += t.asked()
		}
		percent := int(math.Round(float64(asked) / float64(capacity) * 100))
		sums[percent] += float64(allocated) / float64(capacity) * 100
		counts[percent]++
	}
	for _, percent := range []int{100, 130} {
		one.at[percent] = sums[percent] / max(counts[percent], 1)
	}
	return one
}

func capacityOf(hosts []models.NodeInfo) (milli int64) {
	for _, h := range hosts {
		milli += int64(len(h.Devices)) * models.WholeGPU
	}
	return milli
}

// arrivals is the published order of a seed, and the hosts under the names that
// it gives them.
func arrivals(hosts []models.NodeInfo, tasks []task, capacity int64, seed int64) ([]task, []models.NodeInfo) {
	random := rand.New(rand.NewSource(seed))
	random.Int()
	sorted := slices.Clone(tasks)
	slices.SortStableFunc(sorted, func(a, b task) int { return cmp.Compare(a.name, b.name) })
	random.Shuffle(len(sorted), func(i, j int) { sorted[i], sorted[j] = sorted[j], sorted[i] })
	order := slices.Clone(sorted)
	most := int64(load * float64(capacity))
	var asked int64
	for _, t := range order {
		asked += t.asked()
	}
	for asked > most && len(order) > 0 {
		at := random.Intn(len(order))
		asked -= order[at].asked()
		order = slices.Delete(order, at, at+1)
	}
	for {
		t := sorted[random.Intn(len(sorted))]
		if asked+t.milli > most {
			break
		}
		order = append(order, t)
		asked += t.asked()
	}
	named := make([]models.NodeInfo, len(hosts))
	for i, at := range random.Perm(len(hosts)) {
		named[i] = hosts[i]
		named[i].Node = fmt.Sprintf("openb-node-%04d", at)
	}
	return order, named
}

// typical are the shapes that cover 95 % of the tasks, as published FGD knows
// them in advance: by cores, share, number and models, most frequent first.
func typical(tasks []task) []models.ShapeCount {
	counts := map[string]*models.ShapeCount{}
	var shapes []*models.ShapeCount
	for _, t := range tasks {
		key := fmt.Sprint(t.cpuMilli, t.gpus, t.milli, t.models)
		if counts[key] == nil {
			counts[key] = &models.ShapeCount{Key: key, GPUs: t.gpus, Milli: t.milli, CPUMilli: t.cpuMilli, Models: t.models}
			shapes = append(shapes, counts[key])
		}
		counts[key].Weight++
	}
	slices.SortFunc(shapes, func(a, b *models.ShapeCount) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Key, b.Key))
	})
	var kept []models.ShapeCount
	covered := 0.0
	for _, s := range shapes {
		if covered >= 0.95*float64(len(tasks)) {
			break
		}
		covered += s.Weight
		kept = append(kept, *s)
	}
	return kept
}
