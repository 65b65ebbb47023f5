# What functions begin and end with, once for all of them: they save and restore registers by a call of these, because the
# firmware is compiled with `save-restore`. A save is entered with the return address in t0, a restore by a jump, and how many
# registers of s0 to s11 it is about, at the least, is in the name. The compiler's own library has them for C alone.
# Source: "Save and restore routines" of the RISC-V toolchain conventions; the layout of the frame is theirs.

	.section .text.__riscv_save, "ax"
	.global __riscv_save_12, __riscv_save_11, __riscv_save_10, __riscv_save_9, __riscv_save_8, __riscv_save_7
	.global __riscv_save_6, __riscv_save_5, __riscv_save_4, __riscv_save_3, __riscv_save_2, __riscv_save_1
	.global __riscv_save_0
__riscv_save_12:
	addi sp, sp, -64
	li t1, 0
	sw s11, 12(sp)
	j 11f
__riscv_save_11:
__riscv_save_10:
__riscv_save_9:
__riscv_save_8:
	addi sp, sp, -64
	li t1, 16
11:
	sw s10, 16(sp)
	sw s9, 20(sp)
	sw s8, 24(sp)
	sw s7, 28(sp)
	j 7f
__riscv_save_7:
__riscv_save_6:
__riscv_save_5:
__riscv_save_4:
	addi sp, sp, -64
	li t1, 32
7:
	sw s6, 32(sp)
	sw s5, 36(sp)
	sw s4, 40(sp)
	sw s3, 44(sp)
	sw s2, 48(sp)
	sw s1, 52(sp)
	sw s0, 56(sp)
	sw ra, 60(sp)
	add sp, sp, t1
	jr t0
__riscv_save_3:
__riscv_save_2:
__riscv_save_1:
__riscv_save_0:
	addi sp, sp, -16
	sw s2, 0(sp)
	sw s1, 4(sp)
	sw s0, 8(sp)
	sw ra, 12(sp)
	jr t0

	.section .text.__riscv_restore, "ax"
	.global __riscv_restore_12, __riscv_restore_11, __riscv_restore_10, __riscv_restore_9, __riscv_restore_8
	.global __riscv_restore_7, __riscv_restore_6, __riscv_restore_5, __riscv_restore_4, __riscv_restore_3
	.global __riscv_restore_2, __riscv_restore_1, __riscv_restore_0
__riscv_restore_12:
	lw s11, 12(sp)
	addi sp, sp, 16
__riscv_restore_11:
__riscv_restore_10:
__riscv_restore_9:
__riscv_restore_8:
	lw s10, 0(sp)
	lw s9, 4(sp)
	lw s8, 8(sp)
	lw s7, 12(sp)
	addi sp, sp, 16
__riscv_restore_7:
__riscv_restore_6:
__riscv_restore_5:
__riscv_restore_4:
	lw s6, 0(sp)
	lw s5, 4(sp)
	lw s4, 8(sp)
	lw s3, 12(sp)
	addi sp, sp, 16
__riscv_restore_3:
__riscv_restore_2:
__riscv_restore_1:
__riscv_restore_0:
	lw s2, 0(sp)
	lw s1, 4(sp)
	lw s0, 8(sp)
	lw ra, 12(sp)
	addi sp, sp, 16
	ret
