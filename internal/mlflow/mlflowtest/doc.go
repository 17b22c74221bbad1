// Package mlflowtest has a stand-in for an MLflow server and the behavioural
// suite that both the stand-in and the real server pass.
//
// [Server] keeps everything in memory and answers the calls of package mlflow
// with MLflow's codes, statuses and limits, oddities included: an unknown
// alias is status 400, an unknown run has an empty metric history, an unknown
// run status is ignored, an unknown route answers in HTML. It has no artifact
// store, so its artifact listings are empty.
package mlflowtest
