// Package kinds names the modules whose kinds tests/contract/vendors.py gives to an API server, so that Go pins them.
//
// An import is all that makes `go mod tidy` keep a module; nothing here is ever compiled.
package kinds

import (
	_ "github.com/argoproj/argo-cd/v3/assets"
	_ "github.com/fluxcd/helm-controller/api/v2"
	_ "github.com/fluxcd/kustomize-controller/api/v1"
	_ "github.com/fluxcd/source-controller/api/v1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	_ "sigs.k8s.io/gateway-api/pkg/consts"
)
