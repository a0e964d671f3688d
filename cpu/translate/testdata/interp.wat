;; 64 bit: mov eax, ebx; add eax, 1; ret
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i32) (local $l3 i64) (local $l4 i32) (local $l5 i64) (local $l6 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    local.get $p0
    i32.load16_u offset=8 align=1
    i32.load align=1
    local.set $l1
    local.get $p0
    i32.load16_u offset=10 align=1
    local.set $l2
    local.get $l1
    i64.extend_i32_u
    local.set $l3
    local.get $l2
    local.get $l3
    i64.store align=1
    local.get $p0
    i32.load16_u offset=42 align=1
    local.tee $l2
    i32.load align=1
    local.set $l1
    local.get $p0
    i64.load offset=48 align=1
    i32.wrap_i64
    local.set $l4
    local.get $l1
    local.get $l4
    i32.add
    local.tee $l4
    i64.extend_i32_u
    local.set $l3
    local.get $l2
    local.get $l3
    i64.store align=1
    i32.const 0
    local.get $l4
    i32.store offset=flagResult align=1
    i32.const 0
    local.get $l1
    i32.store offset=flagFirst align=1
    i32.const 0
    i32.const 3
    i32.store offset=flagKind align=1
    i32.const 0
    i64.load offset=rsp align=1
    local.tee $l3
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l1
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    local.get $l1
    local.get $l4
    i32.add
    local.set $l4
    local.get $l3
    i64.const 7
    i64.add
    i64.const -4096
    i64.and
    local.set $l5
    local.get $l4
    i64.load align=1
    local.set $l6
    local.get $l5
    local.get $l6
    i64.eq
    if $I1
      local.get $l3
      i32.wrap_i64
      local.set $l1
      local.get $l4
      i32.load offset=24 align=1
      local.set $l4
      local.get $l1
      local.get $l4
      i32.add
      i64.load align=1
      local.set $l6
    else
      i32.const 0
      local.get $l3
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 64
      i32.add
      i32.const 264
      call $e.slowLoad
      local.tee $l4
      if $I2
        local.get $l4
        return
      end
      i32.const 0
      i64.load offset=memData align=1
      local.set $l6
    end
    local.get $l6
    i64.const 47
    i64.shr_s
    i64.const 1
    i64.add
    i64.const 1
    i64.gt_u
    if $I3
      local.get $p0
      i32.const 64
      i32.add
      i32.const 13
      i32.const 0
      call $e.raise
      return
    end
    local.get $l3
    i64.const 8
    i64.add
    local.set $l3
    i32.const 0
    local.get $l3
    i64.store offset=rsp align=1
    i32.const 0
    local.get $l6
    i64.store offset=rip align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l4
    local.get $p0
    i32.load8_u offset=71
    local.set $l1
    local.get $l4
    local.get $l1
    i32.sub
    local.set $l1
    i32.const 0
    local.get $l1
    i32.store offset=budget align=1
    return_call $e.jump
    unreachable)

;; 64 bit: loop: inc eax; cmp eax, ecx; jne loop
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    loop $L1
      local.get $p0
      i32.load16_u offset=10 align=1
      local.tee $l1
      i32.load align=1
      i32.const 1
      i32.add
      i64.extend_i32_u
      local.set $l2
      local.get $l1
      local.get $l2
      i64.store align=1
      local.get $p0
      i32.load16_u offset=42 align=1
      i32.load align=1
      local.set $l1
      local.get $p0
      i32.load16_u offset=40 align=1
      i32.load align=1
      local.set $l3
      local.get $l1
      local.get $l3
      i32.sub
      local.set $l3
      i32.const 0
      local.get $l3
      i32.store offset=flagResult align=1
      i32.const 0
      local.get $l1
      i32.store offset=flagFirst align=1
      i32.const 0
      i32.const 7
      i32.store offset=flagKind align=1
      local.get $l3
      i32.eqz
      i32.eqz
      local.set $l3
      i32.const 0
      i32.load offset=budget align=1
      local.set $l1
      local.get $p0
      i32.load8_u offset=71
      local.set $l4
      local.get $l1
      local.get $l4
      i32.sub
      local.set $l4
      i32.const 0
      local.get $l4
      i32.store offset=budget align=1
      local.get $l3
      if $I2
        local.get $p0
        i32.const 64
        i32.add
        i32.load offset=16 align=1
        local.set $l3
        local.get $l4
        i32.const 0
        i32.lt_s
        if $I3
          local.get $l3
          return_call $e.sliceEnd
        end
        local.get $l3
        local.get $p0
        i32.eq
        if $I4
          br $L1
        end
        local.get $l3
        i32.load align=1
        local.set $l1
        local.get $l3
        local.get $l1
        return_call_indirect (type $t0)
      else
        local.get $p0
        i32.const 64
        i32.add
        i32.load offset=20 align=1
        local.set $l1
        local.get $l4
        i32.const 0
        i32.lt_s
        if $I5
          local.get $l1
          return_call $e.sliceEnd
        end
        local.get $l1
        local.get $p0
        i32.eq
        if $I6
          br $L1
        end
        local.get $l1
        i32.load align=1
        local.set $l4
        local.get $l1
        local.get $l4
        return_call_indirect (type $t0)
      end
      unreachable
    end
    unreachable)

;; 64 bit: add rax, [rbx+rcx*8+16]; adc rdx, 0
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i64) (local $l2 i64) (local $l3 i64) (local $l4 i32) (local $l5 i32) (local $l6 i64) (local $l7 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    local.get $p0
    i32.load16_u offset=14 align=1
    i64.load align=1
    local.set $l1
    local.get $p0
    i32.load16_u offset=12 align=1
    i64.load align=1
    local.set $l2
    local.get $p0
    i32.load8_u offset=24
    i64.extend_i32_u
    local.set $l3
    local.get $l2
    local.get $l3
    i64.shl
    local.set $l3
    local.get $l1
    local.get $l3
    i64.add
    local.set $l3
    local.get $p0
    i32.load offset=28 align=1
    i64.extend_i32_s
    local.set $l1
    local.get $l3
    local.get $l1
    i64.add
    local.tee $l1
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l4
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l5
    local.get $l4
    local.get $l5
    i32.add
    local.set $l5
    local.get $l1
    i64.const 7
    i64.add
    i64.const -4096
    i64.and
    local.set $l3
    local.get $l5
    i64.load align=1
    local.set $l2
    local.get $l3
    local.get $l2
    i64.eq
    if $I1
      local.get $l1
      i32.wrap_i64
      local.set $l4
      local.get $l5
      i32.load offset=24 align=1
      local.set $l5
      local.get $l4
      local.get $l5
      i32.add
      i64.load align=1
      local.set $l2
    else
      i32.const 0
      local.get $l1
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 8
      call $e.slowLoad
      local.tee $l5
      if $I2
        local.get $l5
        return
      end
      i32.const 0
      i64.load offset=memData align=1
      local.set $l2
    end
    local.get $p0
    i32.load16_u offset=8 align=1
    local.tee $l5
    i64.load align=1
    local.tee $l1
    local.get $l2
    i64.add
    local.set $l2
    local.get $l5
    local.get $l2
    i64.store align=1
    local.get $p0
    i32.load16_u offset=42 align=1
    local.tee $l5
    i64.load align=1
    local.set $l3
    local.get $p0
    i64.load offset=48 align=1
    local.set $l6
    local.get $l3
    local.get $l6
    i64.add
    local.set $l7
    local.get $l2
    local.get $l1
    i64.lt_u
    i64.extend_i32_u
    local.set $l1
    local.get $l7
    local.get $l1
    i64.add
    local.set $l1
    local.get $l3
    local.get $l6
    i64.and
    local.set $l7
    local.get $l3
    local.get $l6
    i64.or
    local.set $l6
    local.get $l1
    i64.const -1
    i64.xor
    local.set $l3
    local.get $l6
    local.get $l3
    i64.and
    local.set $l3
    local.get $l7
    local.get $l3
    i64.or
    local.set $l3
    local.get $l5
    local.get $l1
    i64.store align=1
    i32.const 0
    local.get $l1
    i64.store offset=flagResult align=1
    i32.const 0
    local.get $l3
    i64.store offset=flagFirst align=1
    i32.const 0
    i32.const 12
    i32.store offset=flagKind align=1
    local.get $p0
    i32.load offset=64 align=1
    local.set $l5
    local.get $p0
    i32.const 64
    i32.add
    local.get $l5
    return_call_indirect (type $t0))

;; 64 bit: mov [rdi], al; mov ah, bl
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i64) (local $l4 i32) (local $l5 i32) (local $l6 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    local.get $p0
    i32.load16_u offset=8 align=1
    i32.load8_u
    local.set $l1
    local.get $p0
    i32.load16_u offset=14 align=1
    i64.load align=1
    local.set $l2
    local.get $p0
    i32.load offset=28 align=1
    i64.extend_i32_s
    local.set $l3
    local.get $l2
    local.get $l3
    i64.add
    local.tee $l3
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l4
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l5
    local.get $l4
    local.get $l5
    i32.add
    local.set $l5
    local.get $l3
    i64.const -4096
    i64.and
    local.set $l2
    local.get $l5
    i64.load offset=8 align=1
    local.set $l6
    local.get $l2
    local.get $l6
    i64.eq
    if $I1
      local.get $l3
      i32.wrap_i64
      local.set $l4
      local.get $l5
      i32.load offset=24 align=1
      local.set $l5
      local.get $l4
      local.get $l5
      i32.add
      local.get $l1
      i32.store8
    else
      i32.const 0
      local.get $l1
      i32.store8 offset=memData
      i32.const 0
      local.get $l3
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 1
      call $e.slowStore
      local.tee $l1
      if $I2
        local.get $l1
        return
      end
    end
    local.get $p0
    i32.load offset=32 align=1
    i32.const 3
    i32.eq
    if $I3
      local.get $p0
      i32.load16_u offset=4 align=1
      local.set $l1
      local.get $p0
      i32.load8_u offset=6
      local.set $l5
      local.get $l1
      local.get $l5
      i32.add
      local.set $l5
      i32.const 0
      i64.load offset=codeBias align=1
      local.set $l3
      local.get $l5
      i64.extend_i32_u
      local.set $l6
      local.get $l3
      local.get $l6
      i64.add
      local.set $l6
      i32.const 0
      local.get $l6
      i64.store offset=rip align=1
      i32.const 1
      return
    end
    local.get $p0
    i32.load16_u offset=40 align=1
    i32.load8_u
    local.set $l5
    local.get $p0
    i32.load16_u offset=42 align=1
    local.get $l5
    i32.store8
    local.get $p0
    i32.load offset=64 align=1
    local.set $l5
    local.get $p0
    i32.const 64
    i32.add
    local.get $l5
    return_call_indirect (type $t0))

;; 64 bit: test eax, eax; sete cl; cmovs rdx, rax
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i32) (local $l3 i64) (local $l4 i32) (local $l5 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    local.get $p0
    i32.load16_u offset=10 align=1
    i32.load align=1
    local.set $l1
    local.get $p0
    i32.load16_u offset=8 align=1
    i32.load align=1
    local.set $l2
    local.get $l1
    local.get $l2
    i32.and
    local.tee $l2
    i32.eqz
    local.set $l1
    local.get $p0
    i32.load16_u offset=42 align=1
    local.get $l1
    i32.store8
    local.get $p0
    i32.load16_u offset=74 align=1
    i64.load align=1
    local.set $l3
    local.get $l2
    i32.const 31
    i32.shr_u
    local.set $l1
    local.get $p0
    i32.load16_u offset=72 align=1
    local.tee $l4
    i64.load align=1
    local.set $l5
    local.get $l3
    local.get $l5
    local.get $l1
    select
    local.set $l5
    local.get $l4
    local.get $l5
    i64.store align=1
    i32.const 0
    local.get $l2
    i32.store offset=flagResult align=1
    i32.const 0
    i32.const 19
    i32.store offset=flagKind align=1
    local.get $p0
    i32.load offset=96 align=1
    local.set $l2
    local.get $p0
    i32.const 96
    i32.add
    local.get $l2
    return_call_indirect (type $t0))

;; 64 bit: push rbp; mov rbp, rsp; pop rbx
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i64) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i64) (local $l6 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    local.get $p0
    i32.load16_u offset=8 align=1
    i64.load align=1
    local.set $l1
    i32.const 0
    i64.load offset=rsp align=1
    i64.const -8
    i64.add
    local.tee $l2
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l3
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    local.get $l3
    local.get $l4
    i32.add
    local.set $l4
    local.get $l2
    i64.const 7
    i64.add
    i64.const -4096
    i64.and
    local.set $l5
    local.get $l4
    i64.load offset=8 align=1
    local.set $l6
    local.get $l5
    local.get $l6
    i64.eq
    if $I1
      local.get $l2
      i32.wrap_i64
      local.set $l3
      local.get $l4
      i32.load offset=24 align=1
      local.set $l4
      local.get $l3
      local.get $l4
      i32.add
      local.get $l1
      i64.store align=1
    else
      i32.const 0
      local.get $l1
      i64.store offset=memData align=1
      i32.const 0
      local.get $l2
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 264
      call $e.slowStore
      local.tee $l4
      if $I2
        local.get $l4
        return
      end
    end
    i32.const 0
    local.get $l2
    i64.store offset=rsp align=1
    local.get $p0
    i32.load offset=32 align=1
    i32.const 3
    i32.eq
    if $I3
      local.get $p0
      i32.load16_u offset=4 align=1
      local.set $l4
      local.get $p0
      i32.load8_u offset=6
      local.set $l3
      local.get $l4
      local.get $l3
      i32.add
      local.set $l3
      i32.const 0
      i64.load offset=codeBias align=1
      local.set $l2
      local.get $l3
      i64.extend_i32_u
      local.set $l1
      local.get $l2
      local.get $l1
      i64.add
      local.set $l1
      i32.const 0
      local.get $l1
      i64.store offset=rip align=1
      i32.const 1
      return
    end
    local.get $p0
    i32.load16_u offset=40 align=1
    i64.load align=1
    local.set $l1
    local.get $p0
    i32.load16_u offset=42 align=1
    local.get $l1
    i64.store align=1
    i32.const 0
    i64.load offset=rsp align=1
    local.tee $l1
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l3
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    local.get $l3
    local.get $l4
    i32.add
    local.set $l4
    local.get $l1
    i64.const 7
    i64.add
    i64.const -4096
    i64.and
    local.set $l2
    local.get $l4
    i64.load align=1
    local.set $l6
    local.get $l2
    local.get $l6
    i64.eq
    if $I4
      local.get $l1
      i32.wrap_i64
      local.set $l3
      local.get $l4
      i32.load offset=24 align=1
      local.set $l4
      local.get $l3
      local.get $l4
      i32.add
      i64.load align=1
      local.set $l6
    else
      i32.const 0
      local.get $l1
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 64
      i32.add
      i32.const 264
      call $e.slowLoad
      local.tee $l4
      if $I5
        local.get $l4
        return
      end
      i32.const 0
      i64.load offset=memData align=1
      local.set $l6
    end
    local.get $l1
    i64.const 8
    i64.add
    local.set $l1
    i32.const 0
    local.get $l1
    i64.store offset=rsp align=1
    local.get $p0
    i32.load16_u offset=72 align=1
    local.get $l6
    i64.store align=1
    local.get $p0
    i32.load offset=96 align=1
    local.set $l4
    local.get $p0
    i32.const 96
    i32.add
    local.get $l4
    return_call_indirect (type $t0))

;; 64 bit: mov eax, [rbx]; add eax, [rbx+4]; mov [rbx+8], eax
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i64) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i64) (local $l6 i32) (local $l7 i32) (local $l8 i32)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    local.get $p0
    i32.load16_u offset=14 align=1
    i64.load align=1
    local.set $l1
    local.get $p0
    i32.load offset=28 align=1
    i64.extend_i32_s
    local.set $l2
    local.get $l1
    local.get $l2
    i64.add
    local.tee $l2
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l3
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    local.get $l3
    local.get $l4
    i32.add
    local.set $l4
    local.get $l2
    i64.const 3
    i64.add
    i64.const -4096
    i64.and
    local.set $l1
    local.get $l4
    i64.load align=1
    local.set $l5
    local.get $l1
    local.get $l5
    i64.eq
    if $I1
      local.get $l2
      i32.wrap_i64
      local.set $l3
      local.get $l4
      i32.load offset=24 align=1
      local.set $l4
      local.get $l3
      local.get $l4
      i32.add
      i32.load align=1
      local.set $l4
    else
      i32.const 0
      local.get $l2
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 4
      call $e.slowLoad
      local.tee $l3
      if $I2
        local.get $l3
        return
      end
      i32.const 0
      i32.load offset=memData align=1
      local.set $l4
    end
    local.get $p0
    i32.load16_u offset=8 align=1
    local.set $l3
    local.get $l4
    i64.extend_i32_u
    local.set $l2
    local.get $l3
    local.get $l2
    i64.store align=1
    local.get $p0
    i32.load16_u offset=46 align=1
    i64.load align=1
    local.set $l2
    local.get $p0
    i32.load offset=60 align=1
    i64.extend_i32_s
    local.set $l5
    local.get $l2
    local.get $l5
    i64.add
    local.tee $l5
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l3
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    local.get $l3
    local.get $l4
    i32.add
    local.set $l4
    local.get $l5
    i64.const 3
    i64.add
    i64.const -4096
    i64.and
    local.set $l2
    local.get $l4
    i64.load align=1
    local.set $l1
    local.get $l2
    local.get $l1
    i64.eq
    if $I3
      local.get $l5
      i32.wrap_i64
      local.set $l3
      local.get $l4
      i32.load offset=24 align=1
      local.set $l4
      local.get $l3
      local.get $l4
      i32.add
      i32.load align=1
      local.set $l4
    else
      i32.const 0
      local.get $l5
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 32
      i32.add
      i32.const 4
      call $e.slowLoad
      local.tee $l3
      if $I4
        local.get $l3
        return
      end
      i32.const 0
      i32.load offset=memData align=1
      local.set $l4
    end
    local.get $p0
    i32.load16_u offset=40 align=1
    local.tee $l3
    i32.load align=1
    local.tee $l6
    local.get $l4
    i32.add
    local.tee $l4
    i64.extend_i32_u
    local.set $l5
    local.get $l3
    local.get $l5
    i64.store align=1
    local.get $p0
    i32.load16_u offset=72 align=1
    i32.load align=1
    local.set $l3
    local.get $p0
    i32.load16_u offset=78 align=1
    i64.load align=1
    local.set $l5
    local.get $p0
    i32.load offset=92 align=1
    i64.extend_i32_s
    local.set $l1
    local.get $l5
    local.get $l1
    i64.add
    local.tee $l1
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l7
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l8
    local.get $l7
    local.get $l8
    i32.add
    local.set $l8
    local.get $l1
    i64.const 3
    i64.add
    i64.const -4096
    i64.and
    local.set $l5
    local.get $l8
    i64.load offset=8 align=1
    local.set $l2
    local.get $l5
    local.get $l2
    i64.eq
    if $I5
      local.get $l1
      i32.wrap_i64
      local.set $l7
      local.get $l8
      i32.load offset=24 align=1
      local.set $l8
      local.get $l7
      local.get $l8
      i32.add
      local.get $l3
      i32.store align=1
    else
      i32.const 0
      local.get $l3
      i32.store offset=memData align=1
      i32.const 0
      local.get $l1
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 64
      i32.add
      i32.const 4
      call $e.slowStore
      local.tee $l3
      if $I6
        i32.const 0
        local.get $l4
        i32.store offset=flagResult align=1
        i32.const 0
        local.get $l6
        i32.store offset=flagFirst align=1
        i32.const 0
        i32.const 3
        i32.store offset=flagKind align=1
        local.get $l3
        return
      end
    end
    local.get $p0
    i32.load offset=96 align=1
    i32.const 3
    i32.eq
    if $I7
      i32.const 0
      local.get $l4
      i32.store offset=flagResult align=1
      i32.const 0
      local.get $l6
      i32.store offset=flagFirst align=1
      i32.const 0
      i32.const 3
      i32.store offset=flagKind align=1
      local.get $p0
      i32.load16_u offset=68 align=1
      local.set $l3
      local.get $p0
      i32.load8_u offset=70
      local.set $l8
      local.get $l3
      local.get $l8
      i32.add
      local.set $l8
      i32.const 0
      i64.load offset=codeBias align=1
      local.set $l1
      local.get $l8
      i64.extend_i32_u
      local.set $l2
      local.get $l1
      local.get $l2
      i64.add
      local.set $l2
      i32.const 0
      local.get $l2
      i64.store offset=rip align=1
      i32.const 1
      return
    end
    i32.const 0
    local.get $l4
    i32.store offset=flagResult align=1
    i32.const 0
    local.get $l6
    i32.store offset=flagFirst align=1
    i32.const 0
    i32.const 3
    i32.store offset=flagKind align=1
    local.get $p0
    i32.load offset=96 align=1
    local.set $l6
    local.get $p0
    i32.const 96
    i32.add
    local.get $l6
    return_call_indirect (type $t0))

;; 64 bit: shl eax, cl; jc +2
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i32) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    i32.const 0
    i32.load8_u offset=rcx
    i32.const 31
    i32.and
    local.set $l1
    local.get $p0
    i32.load16_u offset=10 align=1
    local.tee $l2
    i32.load align=1
    local.tee $l3
    local.set $l4
    local.get $l1
    if $I1
      local.get $l3
      local.get $l1
      i32.shl
      local.tee $l5
      local.set $l4
      i32.const 32
      local.get $l1
      i32.sub
      local.set $l6
      local.get $l3
      local.get $l6
      i32.shr_u
      i32.const 255
      i32.and
      i32.const 1
      i32.and
      i32.const 0
      i32.shl
      local.set $l6
      local.get $l5
      i32.const 31
      i32.shr_u
      local.set $l7
      i32.const 32
      local.get $l1
      i32.sub
      local.set $l1
      local.get $l3
      local.get $l1
      i32.shr_u
      i32.const 255
      i32.and
      i32.const 1
      i32.and
      local.set $l1
      local.get $l7
      local.get $l1
      i32.xor
      i32.const 11
      i32.shl
      local.set $l1
      local.get $l6
      local.get $l1
      i32.or
      local.set $l1
      i32.const 0
      local.get $l5
      i32.store offset=flagResult align=1
      i32.const 0
      local.get $l1
      i32.store offset=flagAux align=1
      i32.const 0
      i32.const 31
      i32.store offset=flagKind align=1
    end
    local.get $l4
    i64.extend_i32_u
    local.set $l8
    local.get $l2
    local.get $l8
    i64.store align=1
    call $e.flags
    i32.const 1
    i32.and
    i32.eqz
    i32.eqz
    local.set $l2
    i32.const 0
    i32.load offset=budget align=1
    local.set $l4
    local.get $p0
    i32.load8_u offset=39
    local.set $l1
    local.get $l4
    local.get $l1
    i32.sub
    local.set $l1
    i32.const 0
    local.get $l1
    i32.store offset=budget align=1
    local.get $l2
    if $I2
      local.get $p0
      i32.const 32
      i32.add
      i32.load offset=16 align=1
      local.set $l2
      local.get $l1
      i32.const 0
      i32.lt_s
      if $I3
        local.get $l2
        return_call $e.sliceEnd
      end
      local.get $l2
      i32.load align=1
      local.set $l4
      local.get $l2
      local.get $l4
      return_call_indirect (type $t0)
    else
      local.get $p0
      i32.const 32
      i32.add
      i32.load offset=20 align=1
      local.set $l4
      local.get $l1
      i32.const 0
      i32.lt_s
      if $I4
        local.get $l4
        return_call $e.sliceEnd
      end
      local.get $l4
      i32.load align=1
      local.set $l1
      local.get $l4
      local.get $l1
      return_call_indirect (type $t0)
    end
    unreachable)

;; 64 bit: rep movsb
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i32) (local $l3 i32) (local $l4 i64) (local $l5 i64) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i64) (local $l10 i32) (local $l11 i32) (local $l12 i32) (local $l13 i32) (local $l14 i32) (local $l15 i32) (local $l16 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    i32.const 0
    i64.load offset=rcx align=1
    i64.const 0
    i64.ne
    if $I1
      i32.const 0
      i32.load offset=eflags align=1
      i32.const 256
      i32.and
      i32.const 0
      i32.ne
      local.set $l1
      i32.const 0
      i32.load offset=dr+56 align=1
      i32.const 255
      i32.and
      local.set $l2
      local.get $l1
      local.get $l2
      i32.or
      local.set $l2
      i32.const 1
      i32.const 64
      local.get $l2
      select
      local.set $l2
      i32.const 0
      local.set $l1
      i32.const 0
      local.set $l3
      loop $L2
        i32.const 0
        i64.load offset=rcx align=1
        local.set $l4
        i32.const 0
        i64.load offset=rsi align=1
        local.tee $l5
        i32.wrap_i64
        i32.const 7
        i32.shr_u
        i32.const 524256
        i32.and
        local.set $l6
        i32.const 0
        i32.load offset=tlbBase align=1
        local.set $l7
        local.get $l6
        local.get $l7
        i32.add
        local.set $l7
        local.get $l5
        i64.const -4096
        i64.and
        local.set $l8
        local.get $l7
        i64.load align=1
        local.set $l9
        local.get $l8
        local.get $l9
        i64.eq
        local.set $l6
        local.get $l5
        i32.wrap_i64
        local.set $l10
        local.get $l7
        i32.load offset=24 align=1
        local.set $l7
        local.get $l10
        local.get $l7
        i32.add
        local.set $l7
        local.get $l6
        i32.eqz
        if $I3
          i32.const 0
          local.get $l5
          i64.store offset=memAddr align=1
          i32.const 0
          call $e.span
          local.set $l7
        end
        local.get $l7
        local.tee $l7
        i32.const 4095
        i32.and
        local.set $l6
        i32.const 4096
        local.get $l6
        i32.sub
        i32.const 0
        i32.shr_u
        local.set $l6
        local.get $l7
        i32.const 0
        i32.ne
        local.set $l10
        local.get $l6
        i32.const 0
        i32.ne
        local.set $l11
        local.get $l10
        local.get $l11
        i32.and
        local.set $l11
        i32.const 0
        i32.load offset=eflags align=1
        i32.const 1280
        i32.and
        i32.const 0
        i32.ne
        i32.eqz
        local.set $l10
        local.get $l11
        local.get $l10
        i32.and
        local.set $l10
        i32.const 0
        local.set $l11
        local.get $l10
        if $I4
          local.get $l6
          i64.extend_i32_u
          local.tee $l5
          local.get $l4
          i64.lt_u
          local.set $l10
          local.get $l5
          local.get $l4
          local.get $l10
          select
          i32.wrap_i64
          i32.const 0
          i32.shl
          local.set $l10
          i32.const 0
          i64.load offset=rdi align=1
          local.tee $l5
          i32.wrap_i64
          i32.const 7
          i32.shr_u
          i32.const 524256
          i32.and
          local.set $l12
          i32.const 0
          i32.load offset=tlbBase align=1
          local.set $l13
          local.get $l12
          local.get $l13
          i32.add
          local.set $l13
          local.get $l5
          i64.const -4096
          i64.and
          local.set $l9
          local.get $l13
          i64.load offset=8 align=1
          local.set $l8
          local.get $l9
          local.get $l8
          i64.eq
          local.set $l12
          local.get $l5
          i32.wrap_i64
          local.set $l14
          local.get $l13
          i32.load offset=24 align=1
          local.set $l13
          local.get $l14
          local.get $l13
          i32.add
          local.set $l13
          local.get $l12
          i32.eqz
          if $I5
            i32.const 0
            local.get $l5
            i64.store offset=memAddr align=1
            local.get $l10
            call $e.span
            local.set $l13
          end
          local.get $l13
          local.set $l11
        end
        local.get $l11
        local.tee $l11
        i32.const 4095
        i32.and
        local.set $l13
        i32.const 4096
        local.get $l13
        i32.sub
        i32.const 0
        i32.shr_u
        local.set $l13
        local.get $l6
        local.get $l13
        i32.lt_u
        local.set $l10
        local.get $l6
        local.get $l13
        local.get $l10
        select
        local.set $l10
        local.get $l11
        i32.const 0
        i32.ne
        local.set $l13
        local.get $l10
        i64.extend_i32_u
        local.tee $l5
        local.get $l4
        i64.lt_u
        local.set $l10
        local.get $l5
        local.get $l4
        local.get $l10
        select
        i32.wrap_i64
        i32.const 0
        local.get $l13
        select
        local.tee $l13
        if $I6
          local.get $l13
          i32.const 0
          i32.shl
          local.set $l10
          local.get $l11
          local.get $l7
          i32.sub
          local.tee $l6
          i32.const 0
          i32.ne
          local.set $l12
          local.get $l6
          local.get $l10
          i32.lt_u
          local.set $l6
          local.get $l12
          local.get $l6
          i32.and
          if $I7
            i32.const 0
            local.set $l6
            loop $L8
              local.get $l6
              local.set $l12
              local.get $l11
              local.get $l12
              i32.add
              local.set $l14
              local.get $l7
              local.get $l12
              i32.add
              i32.load8_u
              local.set $l15
              local.get $l14
              local.get $l15
              i32.store8
              local.get $l12
              i32.const 1
              i32.add
              local.tee $l12
              local.set $l6
              local.get $l12
              local.get $l10
              i32.lt_u
              br_if $L8
            end
          else
            local.get $l11
            local.get $l7
            local.get $l10
            memory.copy
          end
          local.get $l10
          i64.extend_i32_u
          local.set $l5
          i32.const 0
          i64.load offset=rsi align=1
          local.get $l5
          i64.add
          local.set $l8
          i32.const 0
          local.get $l8
          i64.store offset=rsi align=1
          i32.const 0
          i64.load offset=rdi align=1
          local.get $l5
          i64.add
          local.set $l5
          i32.const 0
          local.get $l5
          i64.store offset=rdi align=1
        end
        local.get $l13
        if $I9
          local.get $l13
          i64.extend_i32_u
          local.set $l5
          local.get $l4
          local.get $l5
          i64.sub
          local.set $l5
          i32.const 0
          local.get $l5
          i64.store offset=rcx align=1
          local.get $l5
          i64.const 0
          i64.ne
          local.set $l1
          local.get $l3
          local.get $l13
          i32.add
          local.set $l3
        else
          i32.const 0
          i64.load offset=rdi align=1
          local.set $l5
          i32.const 0
          i64.load offset=rsi align=1
          local.tee $l8
          i32.wrap_i64
          i32.const 7
          i32.shr_u
          i32.const 524256
          i32.and
          local.set $l13
          i32.const 0
          i32.load offset=tlbBase align=1
          local.set $l10
          local.get $l13
          local.get $l10
          i32.add
          local.set $l10
          local.get $l8
          i64.const -4096
          i64.and
          local.set $l9
          local.get $l10
          i64.load align=1
          local.set $l16
          local.get $l9
          local.get $l16
          i64.eq
          if $I10
            local.get $l8
            i32.wrap_i64
            local.set $l13
            local.get $l10
            i32.load offset=24 align=1
            local.set $l10
            local.get $l13
            local.get $l10
            i32.add
            i32.load8_u
            local.set $l10
          else
            i32.const 0
            local.get $l8
            i64.store offset=memAddr align=1
            local.get $p0
            i32.const 1
            call $e.slowLoad
            local.tee $l13
            if $I11
              local.get $l13
              return
            end
            i32.const 0
            i32.load8_u offset=memData
            local.set $l10
          end
          local.get $l5
          i32.wrap_i64
          i32.const 7
          i32.shr_u
          i32.const 524256
          i32.and
          local.set $l13
          i32.const 0
          i32.load offset=tlbBase align=1
          local.set $l7
          local.get $l13
          local.get $l7
          i32.add
          local.set $l7
          local.get $l5
          i64.const -4096
          i64.and
          local.set $l8
          local.get $l7
          i64.load offset=8 align=1
          local.set $l16
          local.get $l8
          local.get $l16
          i64.eq
          if $I12
            local.get $l5
            i32.wrap_i64
            local.set $l13
            local.get $l7
            i32.load offset=24 align=1
            local.set $l7
            local.get $l13
            local.get $l7
            i32.add
            local.get $l10
            i32.store8
          else
            i32.const 0
            local.get $l10
            i32.store8 offset=memData
            i32.const 0
            local.get $l5
            i64.store offset=memAddr align=1
            local.get $p0
            i32.const 1
            call $e.slowStore
            local.tee $l10
            if $I13
              local.get $l10
              return
            end
          end
          i32.const 0
          i32.load offset=eflags align=1
          i32.const 1024
          i32.and
          i32.const 0
          i32.ne
          local.set $l10
          i64.const -1
          i64.const 1
          local.get $l10
          select
          local.set $l5
          i32.const 0
          i64.load offset=rsi align=1
          local.get $l5
          i64.add
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rsi align=1
          i32.const 0
          i64.load offset=rdi align=1
          local.get $l5
          i64.add
          local.set $l5
          i32.const 0
          local.get $l5
          i64.store offset=rdi align=1
          local.get $l4
          i64.const 1
          i64.sub
          local.set $l4
          i32.const 0
          local.get $l4
          i64.store offset=rcx align=1
          local.get $l4
          i64.const 0
          i64.ne
          local.set $l1
        end
        local.get $l2
        i32.const 1
        i32.sub
        local.tee $l10
        local.set $l2
        local.get $l1
        local.set $l7
        local.get $l10
        i32.const 0
        i32.ne
        local.set $l10
        local.get $l7
        local.get $l10
        i32.and
        br_if $L2
      end
      local.get $l1
      if $I14
        local.get $l3
        i32.const 5
        i32.shr_u
        i32.const 64
        i32.add
        local.set $l3
        i32.const 0
        i32.load offset=budget align=1
        local.get $l3
        i32.sub
        local.set $l3
        i32.const 0
        local.get $l3
        i32.store offset=budget align=1
        i32.const 0
        i32.load offset=budget align=1
        local.set $l3
        local.get $p0
        i32.load8_u offset=7
        local.set $l2
        local.get $l3
        local.get $l2
        i32.sub
        local.set $l2
        i32.const 0
        local.get $l2
        i32.store offset=budget align=1
        local.get $l2
        i32.const 0
        i32.lt_s
        if $I15
          local.get $p0
          return_call $e.sliceEnd
        end
        local.get $p0
        i32.load align=1
        local.set $l2
        local.get $p0
        local.get $l2
        return_call_indirect (type $t0)
      end
    end
    local.get $p0
    i32.load offset=32 align=1
    i32.const 3
    i32.eq
    if $I16
      local.get $p0
      i32.load16_u offset=4 align=1
      local.set $l2
      local.get $p0
      i32.load8_u offset=6
      local.set $l3
      local.get $l2
      local.get $l3
      i32.add
      local.set $l3
      i32.const 0
      i64.load offset=codeBias align=1
      local.set $l4
      local.get $l3
      i64.extend_i32_u
      local.set $l5
      local.get $l4
      local.get $l5
      i64.add
      local.set $l5
      i32.const 0
      local.get $l5
      i64.store offset=rip align=1
      i32.const 1
      return
    end
    local.get $p0
    i32.load offset=32 align=1
    local.set $l3
    local.get $p0
    i32.const 32
    i32.add
    local.get $l3
    return_call_indirect (type $t0))

;; 64 bit: cpuid; mov ebx, eax
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i32) (local $l3 i64) (local $l4 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    i32.const 37
    local.get $p0
    call $e.microcode
    local.tee $l1
    if $I1
      local.get $l1
      local.get $p0
      return_call $e.leave
    end
    local.get $p0
    i32.load offset=32 align=1
    i32.const 3
    i32.eq
    if $I2
      local.get $p0
      i32.load16_u offset=4 align=1
      local.set $l1
      local.get $p0
      i32.load8_u offset=6
      local.set $l2
      local.get $l1
      local.get $l2
      i32.add
      local.set $l2
      i32.const 0
      i64.load offset=codeBias align=1
      local.set $l3
      local.get $l2
      i64.extend_i32_u
      local.set $l4
      local.get $l3
      local.get $l4
      i64.add
      local.set $l4
      i32.const 0
      local.get $l4
      i64.store offset=rip align=1
      i32.const 1
      return
    end
    local.get $p0
    i32.load16_u offset=40 align=1
    i32.load align=1
    local.set $l2
    local.get $p0
    i32.load16_u offset=42 align=1
    local.set $l1
    local.get $l2
    i64.extend_i32_u
    local.set $l4
    local.get $l1
    local.get $l4
    i64.store align=1
    local.get $p0
    i32.load offset=64 align=1
    local.set $l1
    local.get $p0
    i32.const 64
    i32.add
    local.get $l1
    return_call_indirect (type $t0))

;; 64 bit: paddd xmm0, xmm1; movd eax, xmm0
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 v128) (local $l2 i32) (local $l3 i32) (local $l4 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    i32.const 0
    v128.load offset=5712 align=1
    local.set $l1
    i32.const 0
    v128.load offset=5696 align=1
    local.get $l1
    i32x4.add
    local.set $l1
    i32.const 0
    local.get $l1
    v128.store offset=5696 align=1
    i32.const 0
    i32.load offset=5696 align=1
    local.set $l2
    local.get $p0
    i32.load16_u offset=42 align=1
    local.set $l3
    local.get $l2
    i64.extend_i32_u
    local.set $l4
    local.get $l3
    local.get $l4
    i64.store align=1
    local.get $p0
    i32.load offset=64 align=1
    local.set $l3
    local.get $p0
    i32.const 64
    i32.add
    local.get $l3
    return_call_indirect (type $t0))

;; 64 bit: mov eax, fs:[0]; jmp rax
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i64) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    local.get $p0
    i32.load16_u offset=14 align=1
    i64.load align=1
    local.set $l1
    local.get $p0
    i32.load offset=28 align=1
    i64.extend_i32_s
    local.set $l2
    local.get $l1
    local.get $l2
    i64.add
    local.set $l2
    local.get $p0
    i32.load16_u offset=26 align=1
    i64.load align=1
    local.set $l1
    local.get $l2
    local.get $l1
    i64.add
    local.tee $l1
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l3
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    local.get $l3
    local.get $l4
    i32.add
    local.set $l4
    local.get $l1
    i64.const 3
    i64.add
    i64.const -4096
    i64.and
    local.set $l2
    local.get $l4
    i64.load align=1
    local.set $l5
    local.get $l2
    local.get $l5
    i64.eq
    if $I1
      local.get $l1
      i32.wrap_i64
      local.set $l3
      local.get $l4
      i32.load offset=24 align=1
      local.set $l4
      local.get $l3
      local.get $l4
      i32.add
      i32.load align=1
      local.set $l4
    else
      i32.const 0
      local.get $l1
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 4
      call $e.slowLoad
      local.tee $l3
      if $I2
        local.get $l3
        return
      end
      i32.const 0
      i32.load offset=memData align=1
      local.set $l4
    end
    local.get $p0
    i32.load16_u offset=8 align=1
    local.set $l3
    local.get $l4
    i64.extend_i32_u
    local.set $l1
    local.get $l3
    local.get $l1
    i64.store align=1
    local.get $p0
    i32.load16_u offset=42 align=1
    i64.load align=1
    local.tee $l1
    i64.const 47
    i64.shr_s
    i64.const 1
    i64.add
    i64.const 1
    i64.gt_u
    if $I3
      local.get $p0
      i32.const 32
      i32.add
      i32.const 13
      i32.const 0
      call $e.raise
      return
    end
    local.get $p0
    i32.const 32
    i32.add
    local.get $l1
    i64.store offset=16 align=1
    i32.const 0
    local.get $l1
    i64.store offset=rip align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l3
    local.get $p0
    i32.load8_u offset=39
    local.set $l4
    local.get $l3
    local.get $l4
    i32.sub
    local.set $l4
    i32.const 0
    local.get $l4
    i32.store offset=budget align=1
    return_call $e.jump
    unreachable)

;; 16 bit: mov [bx+si], ax; call +3
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i64) (local $l4 i64) (local $l5 i32) (local $l6 i32) (local $l7 i64) (local $l8 i32) (local $l9 i64) (local $l10 i32) (local $l11 i64)
    i32.const 0
    i32.eqz
    i32.eqz
    if $I0
      ;; weight
    end
    local.get $p0
    i32.load16_u offset=8 align=1
    i32.load16_u align=1
    local.set $l1
    local.get $p0
    i32.load16_u offset=14 align=1
    i64.load align=1
    local.set $l2
    local.get $p0
    i32.load16_u offset=12 align=1
    i64.load align=1
    local.set $l3
    local.get $p0
    i32.load8_u offset=24
    i64.extend_i32_u
    local.set $l4
    local.get $l3
    local.get $l4
    i64.shl
    local.set $l4
    local.get $l2
    local.get $l4
    i64.add
    local.set $l4
    local.get $p0
    i32.load offset=28 align=1
    i64.extend_i32_s
    local.set $l2
    local.get $l4
    local.get $l2
    i64.add
    local.set $l2
    local.get $p0
    i32.load16_u offset=26 align=1
    local.set $l5
    local.get $l2
    i64.const 65535
    i64.and
    local.set $l2
    local.get $l5
    i64.load align=1
    local.set $l4
    local.get $l2
    local.get $l4
    i64.add
    i64.const 4294967295
    i64.and
    local.set $l4
    local.get $l5
    i32.load offset=12 align=1
    i32.const 65550
    i32.and
    local.set $l6
    local.get $l5
    i32.load offset=8 align=1
    i64.extend_i32_u
    local.set $l3
    local.get $l2
    i64.const 1
    i64.add
    local.set $l7
    local.get $l3
    local.get $l7
    i64.lt_u
    local.set $l8
    local.get $l6
    i32.const 2
    i32.eq
    local.set $l6
    local.get $l8
    i32.eqz
    local.set $l8
    local.get $l6
    local.get $l8
    i32.and
    i32.eqz
    if $I1
      i32.const 0
      local.get $l2
      i64.store offset=memAddr align=1
      local.get $p0
      local.get $l5
      i32.const 258
      call $e.segmented
      local.tee $l5
      if $I2
        local.get $l5
        return
      end
      i32.const 0
      i64.load offset=memAddr align=1
      local.set $l4
    end
    local.get $l4
    local.tee $l4
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l5
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l8
    local.get $l5
    local.get $l8
    i32.add
    local.set $l8
    local.get $l4
    i64.const 1
    i64.add
    i64.const -4096
    i64.and
    local.set $l2
    local.get $l8
    i64.load offset=8 align=1
    local.set $l7
    local.get $l2
    local.get $l7
    i64.eq
    if $I3
      local.get $l4
      i32.wrap_i64
      local.set $l5
      local.get $l8
      i32.load offset=24 align=1
      local.set $l8
      local.get $l5
      local.get $l8
      i32.add
      local.get $l1
      i32.store16 align=1
    else
      i32.const 0
      local.get $l1
      i32.store16 offset=memData align=1
      i32.const 0
      local.get $l4
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 2
      call $e.slowStore
      local.tee $l1
      if $I4
        local.get $l1
        return
      end
    end
    local.get $p0
    i32.load offset=32 align=1
    i32.const 3
    i32.eq
    if $I5
      local.get $p0
      i32.load16_u offset=4 align=1
      local.set $l1
      local.get $p0
      i32.load8_u offset=6
      local.set $l8
      local.get $l1
      local.get $l8
      i32.add
      local.set $l8
      i32.const 0
      i64.load offset=codeBias align=1
      local.set $l4
      local.get $l8
      i64.extend_i32_u
      local.set $l7
      local.get $l4
      local.get $l7
      i64.add
      i64.const 4294967295
      i64.and
      local.set $l7
      i32.const 0
      local.get $l7
      i64.store offset=rip align=1
      i32.const 1
      return
    end
    local.get $p0
    i32.load16_u offset=36 align=1
    local.set $l8
    local.get $p0
    i32.load8_u offset=38
    local.set $l1
    local.get $l8
    local.get $l1
    i32.add
    local.set $l5
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l7
    local.get $l5
    i64.extend_i32_u
    local.set $l4
    local.get $l7
    local.get $l4
    i64.add
    i64.const 4294967295
    i64.and
    local.set $l4
    local.get $p0
    i64.load offset=48 align=1
    local.set $l7
    local.get $l4
    local.get $l7
    i64.add
    i64.const 65535
    i64.and
    local.set $l7
    i32.const 0
    i32.load offset=cs+8 align=1
    i64.extend_i32_u
    local.get $l7
    i64.lt_u
    if $I6
      i32.const 0
      i64.load offset=rsp align=1
      i64.const 65535
      i64.and
      i64.const 2
      i64.sub
      i64.const 65535
      i64.and
      local.set $l4
      i32.const 0
      i64.load offset=ss align=1
      local.set $l2
      local.get $l4
      local.get $l2
      i64.add
      i64.const 4294967295
      i64.and
      local.set $l2
      i32.const 0
      i32.load offset=ss+12 align=1
      i32.const 65550
      i32.and
      local.set $l5
      i32.const 0
      i32.load offset=ss+8 align=1
      i64.extend_i32_u
      local.set $l3
      local.get $l4
      i64.const 1
      i64.add
      local.set $l9
      local.get $l3
      local.get $l9
      i64.lt_u
      local.set $l6
      local.get $l5
      i32.const 2
      i32.eq
      local.set $l5
      local.get $l6
      i32.eqz
      local.set $l6
      local.get $l5
      local.get $l6
      i32.and
      i32.eqz
      if $I7
        i32.const 0
        local.get $l4
        i64.store offset=memAddr align=1
        local.get $p0
        i32.const 32
        i32.add
        i32.const 4512
        i32.const 258
        call $e.segmented
        local.tee $l6
        if $I8
          local.get $l6
          return
        end
        i32.const 0
        i64.load offset=memAddr align=1
        local.set $l2
      end
      local.get $l2
      local.tee $l2
      i32.wrap_i64
      i32.const 7
      i32.shr_u
      i32.const 524256
      i32.and
      local.set $l6
      i32.const 0
      i32.load offset=tlbBase align=1
      local.set $l5
      local.get $l6
      local.get $l5
      i32.add
      local.set $l5
      local.get $l2
      i64.const 1
      i64.add
      i64.const -4096
      i64.and
      local.set $l4
      local.get $l5
      i64.load offset=8 align=1
      local.set $l9
      local.get $l4
      local.get $l9
      i64.eq
      local.set $l6
      i32.const 4336
      local.set $l10
      local.get $l6
      if $I9
        local.get $l2
        i32.wrap_i64
        local.set $l6
        local.get $l5
        i32.load offset=24 align=1
        local.set $l5
        local.get $l6
        local.get $l5
        i32.add
        local.set $l10
      else
        i32.const 0
        local.get $l2
        i64.store offset=memAddr align=1
        local.get $p0
        i32.const 32
        i32.add
        i32.const 258
        call $e.slowUpdate
        local.tee $l5
        if $I10
          local.get $l5
          return
        end
      end
      local.get $l10
      i32.load16_u align=1
      local.set $l10
      i32.const 1
      if $I11
        local.get $p0
        i32.const 32
        i32.add
        i32.const 13
        i32.const 0
        call $e.raise
        return
      end
    end
    local.get $l8
    local.get $l1
    i32.add
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    local.get $l1
    i64.extend_i32_u
    local.set $l9
    local.get $l2
    local.get $l9
    i64.add
    i64.const 4294967295
    i64.and
    i32.wrap_i64
    i32.const 65535
    i32.and
    local.set $l1
    i32.const 0
    i64.load offset=rsp align=1
    local.tee $l9
    i64.const -2
    i64.add
    i64.const 65535
    i64.and
    local.set $l2
    i32.const 0
    i64.load offset=ss align=1
    local.set $l4
    local.get $l2
    local.get $l4
    i64.add
    i64.const 4294967295
    i64.and
    local.set $l4
    i32.const 0
    i32.load offset=ss+12 align=1
    i32.const 65550
    i32.and
    local.set $l8
    i32.const 0
    i32.load offset=ss+8 align=1
    i64.extend_i32_u
    local.set $l3
    local.get $l2
    i64.const 1
    i64.add
    local.set $l11
    local.get $l3
    local.get $l11
    i64.lt_u
    local.set $l10
    local.get $l8
    i32.const 2
    i32.eq
    local.set $l8
    local.get $l10
    i32.eqz
    local.set $l10
    local.get $l8
    local.get $l10
    i32.and
    i32.eqz
    if $I12
      i32.const 0
      local.get $l2
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 32
      i32.add
      i32.const 4512
      i32.const 258
      call $e.segmented
      local.tee $l10
      if $I13
        local.get $l10
        return
      end
      i32.const 0
      i64.load offset=memAddr align=1
      local.set $l4
    end
    local.get $l4
    local.tee $l4
    i32.wrap_i64
    i32.const 7
    i32.shr_u
    i32.const 524256
    i32.and
    local.set $l10
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l8
    local.get $l10
    local.get $l8
    i32.add
    local.set $l8
    local.get $l4
    i64.const 1
    i64.add
    i64.const -4096
    i64.and
    local.set $l11
    local.get $l8
    i64.load offset=8 align=1
    local.set $l3
    local.get $l11
    local.get $l3
    i64.eq
    if $I14
      local.get $l4
      i32.wrap_i64
      local.set $l10
      local.get $l8
      i32.load offset=24 align=1
      local.set $l8
      local.get $l10
      local.get $l8
      i32.add
      local.get $l1
      i32.store16 align=1
    else
      i32.const 0
      local.get $l1
      i32.store16 offset=memData align=1
      i32.const 0
      local.get $l4
      i64.store offset=memAddr align=1
      local.get $p0
      i32.const 32
      i32.add
      i32.const 258
      call $e.slowStore
      local.tee $l1
      if $I15
        local.get $l1
        return
      end
    end
    local.get $l9
    i64.const -65536
    i64.and
    local.get $l2
    i64.or
    local.set $l2
    i32.const 0
    local.get $l2
    i64.store offset=rsp align=1
    i32.const 0
    local.get $l7
    i64.store offset=rip align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    local.get $p0
    i32.load8_u offset=39
    local.set $l8
    local.get $l1
    local.get $l8
    i32.sub
    local.set $l8
    i32.const 0
    local.get $l8
    i32.store offset=budget align=1
    return_call $e.jumpSegmented
    unreachable)

