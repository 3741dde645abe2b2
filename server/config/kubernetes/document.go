package kubernetes

import (
	"bytes"
	"slices"

	"gopkg.in/yaml.v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// lastApplied is an object within the object, kept by kubectl.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// document writes an object as somebody would have written it: what the API
// server keeps for itself is left out, so that its housekeeping is no change.
func document(o metav1.Object) config.Document {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return config.Document{}
	}
	annotations := u.GetAnnotations()
	delete(annotations, lastApplied)
	meta := map[string]any{"name": u.GetName(), "namespace": u.GetNamespace()}
	if len(annotations) > 0 {
		meta["annotations"] = annotations
	}
	if labels := u.GetLabels(); len(labels) > 0 {
		meta["labels"] = labels
	}
	if created, ok, _ := unstructured.NestedString(u.Object, "metadata", "creationTimestamp"); ok {
		meta["creationTimestamp"] = created // of two routes that say the same, the older goes first
	}
	out := map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "metadata": meta, "spec": map[string]any{}}
	for field, value := range u.Object {
		switch field {
		case "metadata", "status":
		case "spec":
			// Without one all fields are as if not written, which for an
			// AuthorizationPolicy means that nobody is let in.
			if value != nil {
				out[field] = value
			}
		default:
			out[field] = value
		}
	}
	return config.Document{Text: write(out), By: writer(o.GetManagedFields())}
}

// writer is who last wrote what is wanted, as the API server knows it.
func writer(fields []metav1.ManagedFieldsEntry) string {
	fields = slices.DeleteFunc(slices.Clone(fields), func(f metav1.ManagedFieldsEntry) bool { return f.Subresource != "" || f.Time == nil })
	if len(fields) == 0 {
		return ""
	}
	return slices.MaxFunc(fields, func(a, b metav1.ManagedFieldsEntry) int { return a.Time.Compare(b.Time.Time) }).Manager
}

func write(object map[string]any) string {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(object); err != nil {
		panic("BUG: what came as JSON cannot be written: " + err.Error())
	}
	return out.String()
}
