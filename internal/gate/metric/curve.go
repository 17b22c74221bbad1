package metric

// points bounds the points of a curve.
const points = 200

// curves reads ROC and precision-recall off the ends of cells, which lie evenly
// along the ROC curve and closer where both begin: at the highest score, ROC at
// (0, 0) and precision-recall, as usual, at recall 0 with precision 1.
func (g *grid) curves(p plan) rankCurves {
	total := make([]float64, 2*g.cells)
	for b := range p.blocks {
		for i, n := range g.counts[b*g.stride:][:len(total)] {
			total[i] += float64(n)
		}
	}
	var zeros, ones float64
	roc, pr := [][2]float64{{0, 0}}, [][2]float64{{0, 1}}
	for c := range g.cells {
		zeros, ones = zeros+total[2*c], ones+total[2*c+1]
		roc = append(roc, [2]float64{zeros, ones})
		pr = append(pr, [2]float64{ones, ones / (zeros + ones)})
	}
	if ones == 0 {
		return rankCurves{}
	}
	for i := range roc {
		roc[i][0], roc[i][1], pr[i][0] = roc[i][0]/zeros, roc[i][1]/ones, pr[i][0]/ones
	}
	if zeros == 0 {
		return rankCurves{pr: thin(pr)}
	}
	return rankCurves{roc: thin(roc), pr: thin(pr)}
}

// thin keeps the first and the last point and an even choice of the others.
func thin(curve [][2]float64) [][2]float64 {
	if len(curve) <= points {
		return curve
	}
	kept := make([][2]float64, points)
	for i := range kept {
		kept[i] = curve[i*(len(curve)-1)/(points-1)]
	}
	return kept
}
