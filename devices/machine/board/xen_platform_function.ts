// SPDX-License-Identifier: MIT
/** The Xen platform device as a function on the PCI bus. @module */
import { PciConfigSpace, type PciConfigState, type PciFunction, type PciMapper } from "../../pci/pci.ts";
import {
  XEN_PLATFORM_PCI,
  XenPlatformIoBar,
  XenPlatformMmioBar,
  type XenPlatformPorts,
} from "../../../xen/platform/platform_pci.ts";

/** What it does is in `ports`, which are a device of their own. */
export function xenPlatformFunction(mapper: PciMapper, ports: XenPlatformPorts): PciFunction {
  const config = new PciConfigSpace(
    {
      vendorId: XEN_PLATFORM_PCI.vendorId,
      deviceId: XEN_PLATFORM_PCI.deviceId,
      classCode: (XEN_PLATFORM_PCI.classCode << 8) | XEN_PLATFORM_PCI.progIf,
      revisionId: XEN_PLATFORM_PCI.revision,
      subsystemVendorId: XEN_PLATFORM_PCI.subsystemVendorId,
      subsystemId: XEN_PLATFORM_PCI.subsystemId,
      interruptPin: XEN_PLATFORM_PCI.interruptPin,
    },
    { mapper },
    [
      { kind: "io", device: new XenPlatformIoBar(ports) },
      { kind: "memory", device: new XenPlatformMmioBar(), prefetchable: true },
    ],
  );
  return {
    name: "xen-platform-pci",
    reset: () => config.reset(),
    save: () => config.save(),
    restore: (state) => config.restore(state as PciConfigState),
    readConfig: (offset, size) => config.read(offset, size),
    writeConfig: (offset, size, value) => config.write(offset, size, value),
  };
}
