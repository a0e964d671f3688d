// SPDX-License-Identifier: MIT
/**
 * 82371SB (PIIX3) IDE controller: PCI function 1 of the ISA bridge. Its two channels are at the ports and interrupts of
 * a PC, always. Rules: Intel 82371FB/SB datasheet (order 290550), §2.3.
 * Not done: bus master DMA (no BAR 4, so drivers use PIO), timing registers beyond keeping them.
 * @module
 */
import { PciConfigSpace, type PciConfigState, type PciFunction } from "./pci.ts";

export const IDETIM = 0x40; // timing of the primary channel; the secondary one's is behind it
export const IDETIM_IDE = 1 << 15; // decode enable
const SLAVE_TIMING = 0x44;
const PCI_COMMAND = 0x04;

/** The function; the channels are chips of their own. */
export function piix3Ide(): PciFunction<PciConfigState> {
  const config = new PciConfigSpace(
    { vendorId: 0x8086, deviceId: 0x7010, classCode: 0x01_01_00 },
    { mapper: { map: () => ({ remove: () => {} }) } }, // it has no BARs
  );
  config.define(PCI_COMMAND, 2, 1, 5);
  for (const at of [IDETIM, IDETIM + 2]) config.define(at, 2, IDETIM_IDE, 0xffff);
  config.define(SLAVE_TIMING, 1, 0, 0xff);
  return {
    name: "piix3-ide",
    reset: () => config.reset(),
    save: () => config.save(),
    restore: (state) => config.restore(state),
    readConfig: (offset, size) => config.read(offset, size),
    writeConfig: (offset, size, value) => config.write(offset, size, value),
  };
}
