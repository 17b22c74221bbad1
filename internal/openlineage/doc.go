// Package openlineage writes run events of OpenLineage 2-0-2 and sends them to a
// file or an HTTP endpoint. OpenLineage has no client in Go, so the parts of its
// model that the engine uses are written down here.
//
//   - A run event says that a run of a job began or how it ended.
//   - A dataset is what a run read (an input) or wrote (an output). A namespace
//     names the store, and a name the dataset in it.
//   - A facet is one kind of knowledge about a run, a job or a dataset. Each names
//     the schema that it keeps to.
//   - A transport carries events. It may be asked to carry one twice; whoever
//     reads them knows events by run and type.
//
// Source: OpenLineage 2-0-2, spec/OpenLineage.json, spec/facets and spec/Naming.md
// (Apache-2.0).
package openlineage
