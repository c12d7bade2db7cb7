// Package controllers stands in for the multi-cluster controllers: a facility
// is one cluster, and their module is not served at the version Cilium names.
package controllers

// DerivedServiceAnnotation names the Service made for an imported one.
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
