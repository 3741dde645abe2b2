import { useParams } from '@tanstack/react-router'
import { ServiceDetailPage } from './ServiceDetail'
import { ServiceList } from './ServiceList'
import { WorkloadDetailPage } from './WorkloadDetail'
import { WorkloadList } from './WorkloadList'

/** /services and /services/HOST. */
export function ServicesPage() {
  const { host } = useParams({ strict: false }) as { host?: string }
  return host ? <ServiceDetailPage key={host} host={host} /> : <ServiceList />
}

/** /workloads and /workloads/NAMESPACE/NAME; a cluster, where one is named, stands before the namespace. */
export function WorkloadsPage() {
  const { _splat: id } = useParams({ strict: false }) as { _splat?: string }
  return id ? <WorkloadDetailPage key={id} id={id} /> : <WorkloadList />
}
