;; 64 bit: mov eax, ebx; add eax, 1; ret
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i32) (local $l14 i32) (local $l15 i64) (local $l16 i64) (local $l17 i64) (local $l18 i32) (local $l19 i32) (local $l20 i64) (local $l21 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rbx align=1
    local.set $l11
    i32.const 0
    i64.load offset=rsp align=1
    local.set $l12
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 3
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l11
            i32.wrap_i64
            i64.extend_i32_u
            local.tee $l10
            i32.wrap_i64
            local.tee $l13
            i32.const 1
            i32.add
            local.tee $l14
            i64.extend_i32_u
            local.set $l10
            local.get $l14
            local.get $l13
            i32.lt_u
            local.set $l5
            local.get $l14
            i64.extend_i32_u
            local.set $l15
            i32.const 0
            local.get $l15
            i64.store offset=flagResult align=1
            local.get $l13
            i64.extend_i32_u
            local.set $l15
            i32.const 0
            local.get $l15
            i64.store offset=flagFirst align=1
            i32.const 0
            i32.const 3
            i32.store offset=flagKind align=1
            local.get $l12
            local.tee $l15
            i32.const 0
            i64.load offset=33040 align=1
            i64.sub
            i32.const 0
            i64.load offset=32784 align=1
            i64.ge_u
            if $I6
              local.get $l15
              i32.wrap_i64
              i32.const 7
              i32.shr_u
              i32.const 524256
              i32.and
              local.get $l4
              i32.add
              local.set $l13
              local.get $l15
              i64.const 7
              i64.add
              i64.const -4096
              i64.and
              local.tee $l16
              local.get $l13
              i64.load align=1
              i64.ne
              if $I7
                i32.const 16777280
                local.set $l6
                br $B1
              end
              local.get $l13
              i32.load offset=24 align=1
              local.set $l14
              i32.const 0
              local.get $l16
              i64.store offset=33040 align=1
              i32.const 0
              local.get $l14
              i32.store offset=33048 align=1
              i64.const 4065
              i64.const 0
              local.get $l16
              local.get $l13
              i64.load offset=8 align=1
              i64.eq
              select
              local.set $l16
              i32.const 0
              local.get $l16
              i64.store offset=32784 align=1
            end
            local.get $l15
            i32.wrap_i64
            i32.const 0
            i32.load offset=33048 align=1
            i32.add
            i64.load align=1
            local.tee $l16
            i64.const 47
            i64.shr_s
            i64.const 1
            i64.add
            i64.const 1
            i64.gt_u
            if $I8
              i32.const 16777280
              local.set $l6
              br $B1
            end
            local.get $l15
            i64.const 8
            i64.add
            local.set $l12
            local.get $l1
            i32.const 3
            i32.sub
            local.set $l1
            local.get $l16
            local.set $l8
            br $B3
          end
          block $B9
            local.get $l8
            local.tee $l16
            i32.wrap_i64
            local.tee $l13
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l14
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l15
            local.get $l14
            i64.load offset=2162688 align=1
            local.set $l17
            local.get $l16
            local.get $l15
            i64.xor
            local.set $l15
            local.get $l17
            local.get $l15
            i64.ne
            br_if $B9
            local.get $l13
            i32.const 4095
            i32.and
            local.set $l18
            local.get $l3
            local.set $l19
            local.get $l18
            local.get $l19
            i32.add
            local.set $l19
            local.get $l16
            i64.const -4096
            i64.and
            local.set $l15
            local.get $l2
            local.set $l17
            local.get $l15
            local.get $l17
            i64.ne
            if $I10
              local.get $l13
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l18
              i64.load offset=2424832 align=1
              local.set $l17
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l20
              local.get $l15
              local.get $l20
              i64.xor
              local.set $l20
              local.get $l18
              i32.load offset=2424840 align=1
              local.set $l18
              local.get $l17
              local.get $l20
              i64.ne
              local.set $l21
              local.get $l13
              local.get $l18
              i32.add
              local.set $l18
              local.get $l21
              br_if $B9
              local.get $l18
              local.set $l19
            end
            local.get $l14
            i32.load offset=2162700 align=1
            local.set $l18
            local.get $l19
            local.get $l18
            i32.ne
            br_if $B9
            local.get $l14
            i32.load offset=2162696 align=1
            local.tee $l14
            i32.load align=1
            local.set $l18
            local.get $l15
            local.set $l2
            local.get $l18
            i32.const 30
            i32.eq
            if $I11
              local.get $l14
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l14
            local.set $l6
            local.get $l18
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l15
          i32.const 0
          local.get $l15
          i64.store offset=rax align=1
          local.get $l12
          local.set $l15
          i32.const 0
          local.get $l15
          i64.store offset=rsp align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l18
          local.get $l1
          local.set $l14
          local.get $l18
          local.get $l14
          i32.sub
          local.set $l14
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l15
          local.get $l14
          i64.extend_i32_s
          local.set $l20
          local.get $l15
          local.get $l20
          i64.add
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l14
          i32.const 0
          local.get $l14
          i32.store offset=budget align=1
          local.get $l2
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l16
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l16
    i32.const 0
    local.get $l16
    i64.store offset=rax align=1
    local.get $l12
    local.set $l16
    i32.const 0
    local.get $l16
    i64.store offset=rsp align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l14
    local.get $l1
    local.set $l18
    local.get $l14
    local.get $l18
    i32.sub
    local.set $l18
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l16
    local.get $l18
    i64.extend_i32_s
    local.set $l20
    local.get $l16
    local.get $l20
    i64.add
    local.set $l20
    i32.const 0
    local.get $l20
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l18
    i32.const 0
    local.get $l18
    i32.store offset=budget align=1
    local.get $l2
    local.set $l20
    i32.const 0
    local.get $l20
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l18
    local.get $l7
    local.set $l14
    local.get $l18
    local.get $l14
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: loop: inc eax; cmp eax, ecx; jne loop
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i32) (local $l13 i32) (local $l14 i32) (local $l15 i64) (local $l16 i64) (local $l17 i64) (local $l18 i32) (local $l19 i64) (local $l20 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rcx align=1
    local.set $l11
    i32.const 2
    local.set $l5
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            loop $L5
              i32.const 134217728
              local.set $l3
              local.get $l1
              i32.const 3
              i32.lt_s
              if $I6
                i32.const 16777216
                local.set $l6
                i32.const 20
                local.set $l7
                br $B0
              end
              local.get $l10
              i32.wrap_i64
              i32.const 1
              i32.add
              i64.extend_i32_u
              local.tee $l10
              i32.wrap_i64
              local.set $l12
              local.get $l11
              i32.wrap_i64
              local.set $l13
              local.get $l12
              local.get $l13
              i32.sub
              local.set $l14
              local.get $l12
              local.get $l13
              i32.lt_u
              local.set $l5
              local.get $l14
              i64.extend_i32_u
              local.set $l15
              i32.const 0
              local.get $l15
              i64.store offset=flagResult align=1
              local.get $l12
              i64.extend_i32_u
              local.set $l15
              i32.const 0
              local.get $l15
              i64.store offset=flagFirst align=1
              i32.const 0
              i32.const 7
              i32.store offset=flagKind align=1
              local.get $l14
              i32.eqz
              i32.eqz
              local.set $l14
              local.get $l1
              i32.const 3
              i32.sub
              local.set $l1
              local.get $l14
              if $I7
                br $L5
              else
                local.get $l2
                i64.const 262
                i64.add
                local.set $l8
                br $B3
              end
              unreachable
            end
          end
          block $B8
            local.get $l8
            local.tee $l15
            i32.wrap_i64
            local.tee $l14
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l12
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l16
            local.get $l12
            i64.load offset=2162688 align=1
            local.set $l17
            local.get $l15
            local.get $l16
            i64.xor
            local.set $l16
            local.get $l17
            local.get $l16
            i64.ne
            br_if $B8
            local.get $l14
            i32.const 4095
            i32.and
            local.set $l13
            local.get $l3
            local.set $l18
            local.get $l13
            local.get $l18
            i32.add
            local.set $l18
            local.get $l15
            i64.const -4096
            i64.and
            local.set $l16
            local.get $l2
            local.set $l17
            local.get $l16
            local.get $l17
            i64.ne
            if $I9
              local.get $l14
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l13
              i64.load offset=2424832 align=1
              local.set $l17
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l19
              local.get $l16
              local.get $l19
              i64.xor
              local.set $l19
              local.get $l13
              i32.load offset=2424840 align=1
              local.set $l13
              local.get $l17
              local.get $l19
              i64.ne
              local.set $l20
              local.get $l14
              local.get $l13
              i32.add
              local.set $l13
              local.get $l20
              br_if $B8
              local.get $l13
              local.set $l18
            end
            local.get $l12
            i32.load offset=2162700 align=1
            local.set $l13
            local.get $l18
            local.get $l13
            i32.ne
            br_if $B8
            local.get $l12
            i32.load offset=2162696 align=1
            local.tee $l12
            i32.load align=1
            local.set $l13
            local.get $l16
            local.set $l2
            local.get $l13
            i32.const 30
            i32.eq
            if $I10
              local.get $l12
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l12
            local.set $l6
            local.get $l13
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rax align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l13
          local.get $l1
          local.set $l12
          local.get $l13
          local.get $l12
          i32.sub
          local.set $l12
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l16
          local.get $l12
          i64.extend_i32_s
          local.set $l19
          local.get $l16
          local.get $l19
          i64.add
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l12
          i32.const 0
          local.get $l12
          i32.store offset=budget align=1
          local.get $l2
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l15
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l15
    i32.const 0
    local.get $l15
    i64.store offset=rax align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l12
    local.get $l1
    local.set $l13
    local.get $l12
    local.get $l13
    i32.sub
    local.set $l13
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l15
    local.get $l13
    i64.extend_i32_s
    local.set $l19
    local.get $l15
    local.get $l19
    i64.add
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l13
    i32.const 0
    local.get $l13
    i32.store offset=budget align=1
    local.get $l2
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l13
    local.get $l7
    local.set $l12
    local.get $l13
    local.get $l12
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: add rax, [rbx+rcx*8+16]; adc rdx, 0
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i64) (local $l14 i64) (local $l15 i32) (local $l16 i64) (local $l17 i64) (local $l18 i64) (local $l19 i32) (local $l20 i32) (local $l21 i32) (local $l22 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rcx align=1
    local.set $l11
    i32.const 0
    i64.load offset=rdx align=1
    local.set $l12
    i32.const 0
    i64.load offset=rbx align=1
    local.set $l13
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 2
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l11
            i64.const 3
            i64.shl
            local.set $l14
            local.get $l13
            local.get $l14
            i64.add
            i64.const 16
            i64.add
            local.tee $l14
            i32.wrap_i64
            i32.const 7
            i32.shr_u
            i32.const 524256
            i32.and
            local.get $l4
            i32.add
            local.set $l15
            local.get $l14
            i64.const 7
            i64.add
            i64.const -4096
            i64.and
            local.get $l15
            i64.load align=1
            i64.ne
            if $I6
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l15
            i32.load offset=24 align=1
            local.set $l15
            local.get $l14
            i32.wrap_i64
            local.get $l15
            i32.add
            i64.load align=1
            local.set $l14
            local.get $l10
            local.tee $l16
            local.get $l14
            i64.add
            local.tee $l14
            local.set $l10
            local.get $l12
            local.tee $l17
            i64.const 0
            i64.add
            local.set $l18
            local.get $l14
            local.get $l16
            i64.lt_u
            i64.extend_i32_u
            local.set $l16
            local.get $l18
            local.get $l16
            i64.add
            local.tee $l16
            local.set $l12
            local.get $l17
            i64.const 0
            i64.and
            local.set $l18
            local.get $l17
            i64.const 0
            i64.or
            local.set $l17
            local.get $l16
            i64.const -1
            i64.xor
            local.set $l14
            local.get $l17
            local.get $l14
            i64.and
            local.set $l14
            local.get $l18
            local.get $l14
            i64.or
            local.set $l14
            i32.const 0
            local.get $l16
            i64.store offset=flagResult align=1
            i32.const 0
            local.get $l14
            i64.store offset=flagFirst align=1
            i32.const 0
            i32.const 12
            i32.store offset=flagKind align=1
            i32.const 16777280
            local.set $l6
            br $B1
          end
          block $B7
            local.get $l8
            local.tee $l14
            i32.wrap_i64
            local.tee $l15
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l19
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l16
            local.get $l19
            i64.load offset=2162688 align=1
            local.set $l18
            local.get $l14
            local.get $l16
            i64.xor
            local.set $l16
            local.get $l18
            local.get $l16
            i64.ne
            br_if $B7
            local.get $l15
            i32.const 4095
            i32.and
            local.set $l20
            local.get $l3
            local.set $l21
            local.get $l20
            local.get $l21
            i32.add
            local.set $l21
            local.get $l14
            i64.const -4096
            i64.and
            local.set $l16
            local.get $l2
            local.set $l18
            local.get $l16
            local.get $l18
            i64.ne
            if $I8
              local.get $l15
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l20
              i64.load offset=2424832 align=1
              local.set $l18
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l17
              local.get $l16
              local.get $l17
              i64.xor
              local.set $l17
              local.get $l20
              i32.load offset=2424840 align=1
              local.set $l20
              local.get $l18
              local.get $l17
              i64.ne
              local.set $l22
              local.get $l15
              local.get $l20
              i32.add
              local.set $l20
              local.get $l22
              br_if $B7
              local.get $l20
              local.set $l21
            end
            local.get $l19
            i32.load offset=2162700 align=1
            local.set $l20
            local.get $l21
            local.get $l20
            i32.ne
            br_if $B7
            local.get $l19
            i32.load offset=2162696 align=1
            local.tee $l19
            i32.load align=1
            local.set $l20
            local.get $l16
            local.set $l2
            local.get $l20
            i32.const 30
            i32.eq
            if $I9
              local.get $l19
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l19
            local.set $l6
            local.get $l20
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rax align=1
          local.get $l12
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rdx align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l20
          local.get $l1
          local.set $l19
          local.get $l20
          local.get $l19
          i32.sub
          local.set $l19
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l16
          local.get $l19
          i64.extend_i32_s
          local.set $l17
          local.get $l16
          local.get $l17
          i64.add
          local.set $l17
          i32.const 0
          local.get $l17
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l19
          i32.const 0
          local.get $l19
          i32.store offset=budget align=1
          local.get $l2
          local.set $l17
          i32.const 0
          local.get $l17
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l14
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l14
    i32.const 0
    local.get $l14
    i64.store offset=rax align=1
    local.get $l12
    local.set $l14
    i32.const 0
    local.get $l14
    i64.store offset=rdx align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l19
    local.get $l1
    local.set $l20
    local.get $l19
    local.get $l20
    i32.sub
    local.set $l20
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l14
    local.get $l20
    i64.extend_i32_s
    local.set $l17
    local.get $l14
    local.get $l17
    i64.add
    local.set $l17
    i32.const 0
    local.get $l17
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l20
    i32.const 0
    local.get $l20
    i32.store offset=budget align=1
    local.get $l2
    local.set $l17
    i32.const 0
    local.get $l17
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l20
    local.get $l7
    local.set $l19
    local.get $l20
    local.get $l19
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: mov [rdi], al; mov ah, bl
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i32) (local $l14 i64) (local $l15 i32) (local $l16 i64) (local $l17 i64) (local $l18 i32) (local $l19 i32) (local $l20 i64) (local $l21 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rbx align=1
    local.set $l11
    i32.const 0
    i64.load offset=rdi align=1
    local.set $l12
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 2
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l10
            i32.wrap_i64
            i32.const 255
            i32.and
            local.set $l13
            local.get $l12
            local.tee $l14
            i32.wrap_i64
            i32.const 7
            i32.shr_u
            i32.const 524256
            i32.and
            local.get $l4
            i32.add
            local.set $l15
            local.get $l14
            i64.const -4096
            i64.and
            local.get $l15
            i64.load offset=8 align=1
            i64.ne
            if $I6
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l15
            i32.load offset=24 align=1
            local.set $l15
            local.get $l14
            i32.wrap_i64
            local.get $l15
            i32.add
            local.get $l13
            i32.store8
            local.get $l11
            i32.wrap_i64
            i32.const 255
            i32.and
            local.set $l13
            local.get $l10
            i64.const -65281
            i64.and
            local.set $l14
            local.get $l13
            i64.extend_i32_u
            i64.const 8
            i64.shl
            local.set $l16
            local.get $l14
            local.get $l16
            i64.or
            local.set $l10
            i32.const 16777280
            local.set $l6
            br $B1
          end
          block $B7
            local.get $l8
            local.tee $l16
            i32.wrap_i64
            local.tee $l13
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l15
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l14
            local.get $l15
            i64.load offset=2162688 align=1
            local.set $l17
            local.get $l16
            local.get $l14
            i64.xor
            local.set $l14
            local.get $l17
            local.get $l14
            i64.ne
            br_if $B7
            local.get $l13
            i32.const 4095
            i32.and
            local.set $l18
            local.get $l3
            local.set $l19
            local.get $l18
            local.get $l19
            i32.add
            local.set $l19
            local.get $l16
            i64.const -4096
            i64.and
            local.set $l14
            local.get $l2
            local.set $l17
            local.get $l14
            local.get $l17
            i64.ne
            if $I8
              local.get $l13
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l18
              i64.load offset=2424832 align=1
              local.set $l17
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l20
              local.get $l14
              local.get $l20
              i64.xor
              local.set $l20
              local.get $l18
              i32.load offset=2424840 align=1
              local.set $l18
              local.get $l17
              local.get $l20
              i64.ne
              local.set $l21
              local.get $l13
              local.get $l18
              i32.add
              local.set $l18
              local.get $l21
              br_if $B7
              local.get $l18
              local.set $l19
            end
            local.get $l15
            i32.load offset=2162700 align=1
            local.set $l18
            local.get $l19
            local.get $l18
            i32.ne
            br_if $B7
            local.get $l15
            i32.load offset=2162696 align=1
            local.tee $l15
            i32.load align=1
            local.set $l18
            local.get $l14
            local.set $l2
            local.get $l18
            i32.const 30
            i32.eq
            if $I9
              local.get $l15
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l15
            local.set $l6
            local.get $l18
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l14
          i32.const 0
          local.get $l14
          i64.store offset=rax align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l18
          local.get $l1
          local.set $l15
          local.get $l18
          local.get $l15
          i32.sub
          local.set $l15
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l14
          local.get $l15
          i64.extend_i32_s
          local.set $l20
          local.get $l14
          local.get $l20
          i64.add
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l15
          i32.const 0
          local.get $l15
          i32.store offset=budget align=1
          local.get $l2
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l16
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l16
    i32.const 0
    local.get $l16
    i64.store offset=rax align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l15
    local.get $l1
    local.set $l18
    local.get $l15
    local.get $l18
    i32.sub
    local.set $l18
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l16
    local.get $l18
    i64.extend_i32_s
    local.set $l20
    local.get $l16
    local.get $l20
    i64.add
    local.set $l20
    i32.const 0
    local.get $l20
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l18
    i32.const 0
    local.get $l18
    i32.store offset=budget align=1
    local.get $l2
    local.set $l20
    i32.const 0
    local.get $l20
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l18
    local.get $l7
    local.set $l15
    local.get $l18
    local.get $l15
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: test eax, eax; sete cl; cmovs rdx, rax
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i32) (local $l14 i32) (local $l15 i64) (local $l16 i64) (local $l17 i64) (local $l18 i32) (local $l19 i32) (local $l20 i64) (local $l21 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rcx align=1
    local.set $l11
    i32.const 0
    i64.load offset=rdx align=1
    local.set $l12
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 3
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l10
            i32.wrap_i64
            local.set $l13
            local.get $l10
            i32.wrap_i64
            local.set $l14
            local.get $l13
            local.get $l14
            i32.and
            local.tee $l14
            i32.eqz
            local.set $l13
            local.get $l11
            i64.const -256
            i64.and
            local.set $l15
            local.get $l13
            i64.extend_i32_u
            i64.const 0
            i64.shl
            local.set $l16
            local.get $l15
            local.get $l16
            i64.or
            local.set $l11
            local.get $l10
            local.set $l16
            local.get $l14
            i32.const 31
            i32.shr_u
            local.set $l13
            local.get $l12
            local.set $l15
            local.get $l16
            local.get $l15
            local.get $l13
            select
            local.set $l12
            local.get $l14
            i64.extend_i32_u
            local.set $l15
            i32.const 0
            local.get $l15
            i64.store offset=flagResult align=1
            i32.const 0
            i32.const 19
            i32.store offset=flagKind align=1
            i32.const 16777312
            local.set $l6
            br $B1
          end
          block $B6
            local.get $l8
            local.tee $l15
            i32.wrap_i64
            local.tee $l14
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l13
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l16
            local.get $l13
            i64.load offset=2162688 align=1
            local.set $l17
            local.get $l15
            local.get $l16
            i64.xor
            local.set $l16
            local.get $l17
            local.get $l16
            i64.ne
            br_if $B6
            local.get $l14
            i32.const 4095
            i32.and
            local.set $l18
            local.get $l3
            local.set $l19
            local.get $l18
            local.get $l19
            i32.add
            local.set $l19
            local.get $l15
            i64.const -4096
            i64.and
            local.set $l16
            local.get $l2
            local.set $l17
            local.get $l16
            local.get $l17
            i64.ne
            if $I7
              local.get $l14
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l18
              i64.load offset=2424832 align=1
              local.set $l17
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l20
              local.get $l16
              local.get $l20
              i64.xor
              local.set $l20
              local.get $l18
              i32.load offset=2424840 align=1
              local.set $l18
              local.get $l17
              local.get $l20
              i64.ne
              local.set $l21
              local.get $l14
              local.get $l18
              i32.add
              local.set $l18
              local.get $l21
              br_if $B6
              local.get $l18
              local.set $l19
            end
            local.get $l13
            i32.load offset=2162700 align=1
            local.set $l18
            local.get $l19
            local.get $l18
            i32.ne
            br_if $B6
            local.get $l13
            i32.load offset=2162696 align=1
            local.tee $l13
            i32.load align=1
            local.set $l18
            local.get $l16
            local.set $l2
            local.get $l18
            i32.const 30
            i32.eq
            if $I8
              local.get $l13
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l13
            local.set $l6
            local.get $l18
            local.set $l7
            br $B0
          end
          local.get $l11
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rcx align=1
          local.get $l12
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rdx align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l18
          local.get $l1
          local.set $l13
          local.get $l18
          local.get $l13
          i32.sub
          local.set $l13
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l16
          local.get $l13
          i64.extend_i32_s
          local.set $l20
          local.get $l16
          local.get $l20
          i64.add
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l13
          i32.const 0
          local.get $l13
          i32.store offset=budget align=1
          local.get $l2
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l15
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l11
    local.set $l15
    i32.const 0
    local.get $l15
    i64.store offset=rcx align=1
    local.get $l12
    local.set $l15
    i32.const 0
    local.get $l15
    i64.store offset=rdx align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l13
    local.get $l1
    local.set $l18
    local.get $l13
    local.get $l18
    i32.sub
    local.set $l18
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l15
    local.get $l18
    i64.extend_i32_s
    local.set $l20
    local.get $l15
    local.get $l20
    i64.add
    local.set $l20
    i32.const 0
    local.get $l20
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l18
    i32.const 0
    local.get $l18
    i32.store offset=budget align=1
    local.get $l2
    local.set $l20
    i32.const 0
    local.get $l20
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l18
    local.get $l7
    local.set $l13
    local.get $l18
    local.get $l13
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: push rbp; mov rbp, rsp; pop rbx
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i64) (local $l14 i64) (local $l15 i32) (local $l16 i64) (local $l17 i32) (local $l18 i32) (local $l19 i32) (local $l20 i64) (local $l21 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rbx align=1
    local.set $l10
    i32.const 0
    i64.load offset=rsp align=1
    local.set $l11
    i32.const 0
    i64.load offset=rbp align=1
    local.set $l12
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 3
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l12
            local.set $l13
            local.get $l11
            i64.const -8
            i64.add
            local.tee $l14
            i32.const 0
            i64.load offset=33040 align=1
            i64.sub
            i32.const 0
            i64.load offset=32784 align=1
            i64.ge_u
            if $I6
              local.get $l14
              i32.wrap_i64
              i32.const 7
              i32.shr_u
              i32.const 524256
              i32.and
              local.get $l4
              i32.add
              local.set $l15
              local.get $l14
              i64.const 7
              i64.add
              i64.const -4096
              i64.and
              local.tee $l16
              local.get $l15
              i64.load offset=8 align=1
              i64.ne
              if $I7
                i32.const 16777216
                local.set $l6
                i32.const 20
                local.set $l7
                br $B0
              end
              local.get $l15
              i32.load offset=24 align=1
              local.set $l15
              i32.const 0
              local.get $l16
              i64.store offset=33040 align=1
              i32.const 0
              local.get $l15
              i32.store offset=33048 align=1
              i32.const 0
              i64.const 4065
              i64.store offset=32784 align=1
            end
            local.get $l14
            i32.wrap_i64
            i32.const 0
            i32.load offset=33048 align=1
            i32.add
            local.get $l13
            i64.store align=1
            local.get $l14
            local.tee $l11
            local.set $l12
            local.get $l11
            local.tee $l14
            i32.const 0
            i64.load offset=33040 align=1
            i64.sub
            i32.const 0
            i64.load offset=32784 align=1
            i64.ge_u
            if $I8
              local.get $l14
              i32.wrap_i64
              i32.const 7
              i32.shr_u
              i32.const 524256
              i32.and
              local.get $l4
              i32.add
              local.set $l15
              local.get $l14
              i64.const 7
              i64.add
              i64.const -4096
              i64.and
              local.tee $l13
              local.get $l15
              i64.load align=1
              i64.ne
              if $I9
                i32.const 16777280
                local.set $l6
                br $B1
              end
              local.get $l15
              i32.load offset=24 align=1
              local.set $l17
              i32.const 0
              local.get $l13
              i64.store offset=33040 align=1
              i32.const 0
              local.get $l17
              i32.store offset=33048 align=1
              i64.const 4065
              i64.const 0
              local.get $l13
              local.get $l15
              i64.load offset=8 align=1
              i64.eq
              select
              local.set $l13
              i32.const 0
              local.get $l13
              i64.store offset=32784 align=1
            end
            local.get $l14
            i32.wrap_i64
            i32.const 0
            i32.load offset=33048 align=1
            i32.add
            i64.load align=1
            local.set $l13
            local.get $l14
            i64.const 8
            i64.add
            local.set $l11
            local.get $l13
            local.set $l10
            i32.const 16777312
            local.set $l6
            br $B1
          end
          block $B10
            local.get $l8
            local.tee $l13
            i32.wrap_i64
            local.tee $l15
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l17
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l14
            local.get $l17
            i64.load offset=2162688 align=1
            local.set $l16
            local.get $l13
            local.get $l14
            i64.xor
            local.set $l14
            local.get $l16
            local.get $l14
            i64.ne
            br_if $B10
            local.get $l15
            i32.const 4095
            i32.and
            local.set $l18
            local.get $l3
            local.set $l19
            local.get $l18
            local.get $l19
            i32.add
            local.set $l19
            local.get $l13
            i64.const -4096
            i64.and
            local.set $l14
            local.get $l2
            local.set $l16
            local.get $l14
            local.get $l16
            i64.ne
            if $I11
              local.get $l15
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l18
              i64.load offset=2424832 align=1
              local.set $l16
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l20
              local.get $l14
              local.get $l20
              i64.xor
              local.set $l20
              local.get $l18
              i32.load offset=2424840 align=1
              local.set $l18
              local.get $l16
              local.get $l20
              i64.ne
              local.set $l21
              local.get $l15
              local.get $l18
              i32.add
              local.set $l18
              local.get $l21
              br_if $B10
              local.get $l18
              local.set $l19
            end
            local.get $l17
            i32.load offset=2162700 align=1
            local.set $l18
            local.get $l19
            local.get $l18
            i32.ne
            br_if $B10
            local.get $l17
            i32.load offset=2162696 align=1
            local.tee $l17
            i32.load align=1
            local.set $l18
            local.get $l14
            local.set $l2
            local.get $l18
            i32.const 30
            i32.eq
            if $I12
              local.get $l17
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l17
            local.set $l6
            local.get $l18
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l14
          i32.const 0
          local.get $l14
          i64.store offset=rbx align=1
          local.get $l11
          local.set $l14
          i32.const 0
          local.get $l14
          i64.store offset=rsp align=1
          local.get $l12
          local.set $l14
          i32.const 0
          local.get $l14
          i64.store offset=rbp align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l18
          local.get $l1
          local.set $l17
          local.get $l18
          local.get $l17
          i32.sub
          local.set $l17
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l14
          local.get $l17
          i64.extend_i32_s
          local.set $l20
          local.get $l14
          local.get $l20
          i64.add
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l17
          i32.const 0
          local.get $l17
          i32.store offset=budget align=1
          local.get $l2
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l13
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l13
    i32.const 0
    local.get $l13
    i64.store offset=rbx align=1
    local.get $l11
    local.set $l13
    i32.const 0
    local.get $l13
    i64.store offset=rsp align=1
    local.get $l12
    local.set $l13
    i32.const 0
    local.get $l13
    i64.store offset=rbp align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l17
    local.get $l1
    local.set $l18
    local.get $l17
    local.get $l18
    i32.sub
    local.set $l18
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l13
    local.get $l18
    i64.extend_i32_s
    local.set $l20
    local.get $l13
    local.get $l20
    i64.add
    local.set $l20
    i32.const 0
    local.get $l20
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l18
    i32.const 0
    local.get $l18
    i32.store offset=budget align=1
    local.get $l2
    local.set $l20
    i32.const 0
    local.get $l20
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l18
    local.get $l7
    local.set $l17
    local.get $l18
    local.get $l17
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: mov eax, [rbx]; add eax, [rbx+4]; mov [rbx+8], eax
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i32) (local $l14 i64) (local $l15 i32) (local $l16 i32) (local $l17 i32) (local $l18 i64) (local $l19 i64) (local $l20 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rbx align=1
    local.set $l11
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 3
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l11
            local.tee $l12
            i32.wrap_i64
            i32.const 7
            i32.shr_u
            i32.const 524256
            i32.and
            local.get $l4
            i32.add
            local.set $l13
            local.get $l12
            i64.const 3
            i64.add
            i64.const -4096
            i64.and
            local.tee $l14
            local.get $l13
            i64.load align=1
            i64.ne
            if $I6
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l13
            i32.load offset=24 align=1
            local.set $l13
            local.get $l12
            i32.wrap_i64
            local.get $l13
            i32.add
            i32.load align=1
            i64.extend_i32_u
            local.set $l10
            local.get $l11
            i64.const 4
            i64.add
            local.set $l12
            local.get $l13
            local.set $l13
            local.get $l12
            local.get $l14
            i64.sub
            i64.const 4065
            i64.ge_u
            if $I7
              local.get $l12
              i32.wrap_i64
              i32.const 7
              i32.shr_u
              i32.const 524256
              i32.and
              local.get $l4
              i32.add
              local.set $l15
              local.get $l12
              i64.const 3
              i64.add
              i64.const -4096
              i64.and
              local.get $l15
              i64.load align=1
              i64.ne
              if $I8
                i32.const 16777248
                local.set $l6
                br $B1
              end
              local.get $l15
              i32.load offset=24 align=1
              local.set $l13
            end
            local.get $l13
            local.set $l13
            local.get $l12
            i32.wrap_i64
            local.get $l13
            i32.add
            i32.load align=1
            local.set $l13
            local.get $l10
            i32.wrap_i64
            local.tee $l15
            local.get $l13
            i32.add
            local.tee $l13
            i64.extend_i32_u
            local.tee $l10
            i32.wrap_i64
            local.set $l16
            local.get $l11
            i64.const 8
            i64.add
            local.tee $l12
            i32.wrap_i64
            i32.const 7
            i32.shr_u
            i32.const 524256
            i32.and
            local.get $l4
            i32.add
            local.set $l17
            local.get $l12
            i64.const 3
            i64.add
            i64.const -4096
            i64.and
            local.get $l17
            i64.load offset=8 align=1
            i64.ne
            if $I9
              local.get $l13
              i64.extend_i32_u
              local.set $l14
              i32.const 0
              local.get $l14
              i64.store offset=flagResult align=1
              local.get $l15
              i64.extend_i32_u
              local.set $l14
              i32.const 0
              local.get $l14
              i64.store offset=flagFirst align=1
              i32.const 0
              i32.const 3
              i32.store offset=flagKind align=1
              i32.const 16777280
              local.set $l6
              br $B1
            end
            local.get $l17
            i32.load offset=24 align=1
            local.set $l17
            local.get $l12
            i32.wrap_i64
            local.get $l17
            i32.add
            local.get $l16
            i32.store align=1
            local.get $l13
            i64.extend_i32_u
            local.set $l12
            i32.const 0
            local.get $l12
            i64.store offset=flagResult align=1
            local.get $l15
            i64.extend_i32_u
            local.set $l12
            i32.const 0
            local.get $l12
            i64.store offset=flagFirst align=1
            i32.const 0
            i32.const 3
            i32.store offset=flagKind align=1
            i32.const 16777312
            local.set $l6
            br $B1
          end
          block $B10
            local.get $l8
            local.tee $l12
            i32.wrap_i64
            local.tee $l15
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l13
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l14
            local.get $l13
            i64.load offset=2162688 align=1
            local.set $l18
            local.get $l12
            local.get $l14
            i64.xor
            local.set $l14
            local.get $l18
            local.get $l14
            i64.ne
            br_if $B10
            local.get $l15
            i32.const 4095
            i32.and
            local.set $l16
            local.get $l3
            local.set $l17
            local.get $l16
            local.get $l17
            i32.add
            local.set $l17
            local.get $l12
            i64.const -4096
            i64.and
            local.set $l14
            local.get $l2
            local.set $l18
            local.get $l14
            local.get $l18
            i64.ne
            if $I11
              local.get $l15
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l16
              i64.load offset=2424832 align=1
              local.set $l18
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l19
              local.get $l14
              local.get $l19
              i64.xor
              local.set $l19
              local.get $l16
              i32.load offset=2424840 align=1
              local.set $l16
              local.get $l18
              local.get $l19
              i64.ne
              local.set $l20
              local.get $l15
              local.get $l16
              i32.add
              local.set $l16
              local.get $l20
              br_if $B10
              local.get $l16
              local.set $l17
            end
            local.get $l13
            i32.load offset=2162700 align=1
            local.set $l16
            local.get $l17
            local.get $l16
            i32.ne
            br_if $B10
            local.get $l13
            i32.load offset=2162696 align=1
            local.tee $l13
            i32.load align=1
            local.set $l16
            local.get $l14
            local.set $l2
            local.get $l16
            i32.const 30
            i32.eq
            if $I12
              local.get $l13
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l13
            local.set $l6
            local.get $l16
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l14
          i32.const 0
          local.get $l14
          i64.store offset=rax align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l16
          local.get $l1
          local.set $l13
          local.get $l16
          local.get $l13
          i32.sub
          local.set $l13
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l14
          local.get $l13
          i64.extend_i32_s
          local.set $l19
          local.get $l14
          local.get $l19
          i64.add
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l13
          i32.const 0
          local.get $l13
          i32.store offset=budget align=1
          local.get $l2
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l12
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l12
    i32.const 0
    local.get $l12
    i64.store offset=rax align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l13
    local.get $l1
    local.set $l16
    local.get $l13
    local.get $l16
    i32.sub
    local.set $l16
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l12
    local.get $l16
    i64.extend_i32_s
    local.set $l19
    local.get $l12
    local.get $l19
    i64.add
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l16
    i32.const 0
    local.get $l16
    i32.store offset=budget align=1
    local.get $l2
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l16
    local.get $l7
    local.set $l13
    local.get $l16
    local.get $l13
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: shl eax, cl; jc +2
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i32) (local $l14 i32) (local $l15 i32) (local $l16 i32) (local $l17 i32) (local $l18 i32) (local $l19 i64) (local $l20 i64) (local $l21 i64) (local $l22 i64)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rcx align=1
    local.set $l11
    i32.const 0
    i64.load offset=rsp align=1
    local.set $l12
    i32.const 2
    local.set $l5
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 2
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l11
            i32.wrap_i64
            i32.const 255
            i32.and
            i32.const 31
            i32.and
            local.set $l13
            local.get $l10
            i32.wrap_i64
            local.tee $l14
            local.set $l15
            local.get $l13
            if $I6
              local.get $l14
              local.get $l13
              i32.shl
              local.tee $l16
              local.set $l15
              i32.const 32
              local.get $l13
              i32.sub
              local.set $l17
              local.get $l14
              local.get $l17
              i32.shr_u
              i32.const 255
              i32.and
              i32.const 1
              i32.and
              i32.const 0
              i32.shl
              local.set $l17
              local.get $l16
              i32.const 31
              i32.shr_u
              local.set $l18
              i32.const 32
              local.get $l13
              i32.sub
              local.set $l13
              local.get $l14
              local.get $l13
              i32.shr_u
              i32.const 255
              i32.and
              i32.const 1
              i32.and
              local.set $l13
              local.get $l18
              local.get $l13
              i32.xor
              i32.const 11
              i32.shl
              local.set $l13
              local.get $l17
              local.get $l13
              i32.or
              local.tee $l13
              i32.const 1
              i32.and
              local.set $l5
              local.get $l16
              i64.extend_i32_u
              local.set $l19
              i32.const 0
              local.get $l19
              i64.store offset=flagResult align=1
              i32.const 0
              local.get $l13
              i32.store offset=flagAux align=1
              i32.const 0
              i32.const 31
              i32.store offset=flagKind align=1
            end
            local.get $l15
            i64.extend_i32_u
            local.set $l10
            local.get $l5
            i32.const 2
            i32.eq
            if $I7
              call $e.carry
              local.set $l5
            end
            local.get $l5
            local.set $l15
            local.get $l1
            i32.const 2
            i32.sub
            local.set $l1
            local.get $l15
            if $I8
              local.get $l2
              i64.const 262
              i64.add
              local.set $l8
              br $B3
            else
              local.get $l2
              i64.const 260
              i64.add
              local.set $l8
              br $B3
            end
            unreachable
          end
          block $B9
            local.get $l8
            local.tee $l19
            i32.wrap_i64
            local.tee $l15
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l13
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l20
            local.get $l13
            i64.load offset=2162688 align=1
            local.set $l21
            local.get $l19
            local.get $l20
            i64.xor
            local.set $l20
            local.get $l21
            local.get $l20
            i64.ne
            br_if $B9
            local.get $l15
            i32.const 4095
            i32.and
            local.set $l16
            local.get $l3
            local.set $l17
            local.get $l16
            local.get $l17
            i32.add
            local.set $l17
            local.get $l19
            i64.const -4096
            i64.and
            local.set $l20
            local.get $l2
            local.set $l21
            local.get $l20
            local.get $l21
            i64.ne
            if $I10
              local.get $l15
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l16
              i64.load offset=2424832 align=1
              local.set $l21
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l22
              local.get $l20
              local.get $l22
              i64.xor
              local.set $l22
              local.get $l16
              i32.load offset=2424840 align=1
              local.set $l16
              local.get $l21
              local.get $l22
              i64.ne
              local.set $l18
              local.get $l15
              local.get $l16
              i32.add
              local.set $l16
              local.get $l18
              br_if $B9
              local.get $l16
              local.set $l17
            end
            local.get $l13
            i32.load offset=2162700 align=1
            local.set $l16
            local.get $l17
            local.get $l16
            i32.ne
            br_if $B9
            local.get $l13
            i32.load offset=2162696 align=1
            local.tee $l13
            i32.load align=1
            local.set $l16
            local.get $l20
            local.set $l2
            local.get $l16
            i32.const 30
            i32.eq
            if $I11
              local.get $l13
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l13
            local.set $l6
            local.get $l16
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l20
          i32.const 0
          local.get $l20
          i64.store offset=rax align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l16
          local.get $l1
          local.set $l13
          local.get $l16
          local.get $l13
          i32.sub
          local.set $l13
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l20
          local.get $l13
          i64.extend_i32_s
          local.set $l22
          local.get $l20
          local.get $l22
          i64.add
          local.set $l22
          i32.const 0
          local.get $l22
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l13
          i32.const 0
          local.get $l13
          i32.store offset=budget align=1
          local.get $l2
          local.set $l22
          i32.const 0
          local.get $l22
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l19
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=rax align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l13
    local.get $l1
    local.set $l16
    local.get $l13
    local.get $l16
    i32.sub
    local.set $l16
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l19
    local.get $l16
    i64.extend_i32_s
    local.set $l22
    local.get $l19
    local.get $l22
    i64.add
    local.set $l22
    i32.const 0
    local.get $l22
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l16
    i32.const 0
    local.get $l16
    i32.store offset=budget align=1
    local.get $l2
    local.set $l22
    i32.const 0
    local.get $l22
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l16
    local.get $l7
    local.set $l13
    local.get $l16
    local.get $l13
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: rep movsb
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i64) (local $l14 i32) (local $l15 i32) (local $l16 i64) (local $l17 i32) (local $l18 i32) (local $l19 i32) (local $l20 i64) (local $l21 i64)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rcx align=1
    local.set $l10
    i32.const 0
    i64.load offset=rsi align=1
    local.set $l11
    i32.const 0
    i64.load offset=rdi align=1
    local.set $l12
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 1
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l10
            local.set $l13
            i32.const 0
            i32.load offset=eflags align=1
            i32.const 1280
            i32.and
            i32.const 0
            i32.ne
            if $I6
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            i64.const 4096
            local.get $l13
            i64.lt_u
            if $I7
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l13
            i32.wrap_i64
            i32.const 0
            i32.shl
            local.set $l14
            local.get $l11
            local.set $l13
            local.get $l14
            i32.const 0
            i32.ne
            local.set $l15
            local.get $l14
            local.get $l15
            i32.sub
            i64.extend_i32_u
            local.set $l16
            local.get $l13
            i32.wrap_i64
            i32.const 7
            i32.shr_u
            i32.const 524256
            i32.and
            local.get $l4
            i32.add
            local.set $l15
            local.get $l13
            local.get $l16
            i64.add
            i64.const -4096
            i64.and
            local.get $l15
            i64.load align=1
            i64.ne
            if $I8
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l15
            i32.load offset=24 align=1
            local.set $l15
            local.get $l13
            i32.wrap_i64
            local.get $l15
            i32.add
            local.set $l15
            local.get $l12
            local.set $l13
            local.get $l14
            i32.const 0
            i32.ne
            local.set $l17
            local.get $l14
            local.get $l17
            i32.sub
            i64.extend_i32_u
            local.set $l16
            local.get $l13
            i32.wrap_i64
            i32.const 7
            i32.shr_u
            i32.const 524256
            i32.and
            local.get $l4
            i32.add
            local.set $l17
            local.get $l13
            local.get $l16
            i64.add
            i64.const -4096
            i64.and
            local.get $l17
            i64.load offset=8 align=1
            i64.ne
            if $I9
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l17
            i32.load offset=24 align=1
            local.set $l17
            local.get $l13
            i32.wrap_i64
            local.get $l17
            i32.add
            local.tee $l17
            local.get $l15
            i32.sub
            local.tee $l18
            i32.const 0
            i32.ne
            local.set $l19
            local.get $l18
            local.get $l14
            i32.lt_u
            local.set $l18
            local.get $l19
            local.get $l18
            i32.and
            if $I10
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l17
            local.get $l15
            local.get $l14
            memory.copy
            local.get $l14
            i64.extend_i32_u
            local.set $l13
            local.get $l11
            local.get $l13
            i64.add
            local.set $l11
            local.get $l12
            local.get $l13
            i64.add
            local.set $l12
            i64.const 0
            local.set $l10
            i32.const 16777248
            local.set $l6
            br $B1
          end
          block $B11
            local.get $l8
            local.tee $l13
            i32.wrap_i64
            local.tee $l14
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l15
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l16
            local.get $l15
            i64.load offset=2162688 align=1
            local.set $l20
            local.get $l13
            local.get $l16
            i64.xor
            local.set $l16
            local.get $l20
            local.get $l16
            i64.ne
            br_if $B11
            local.get $l14
            i32.const 4095
            i32.and
            local.set $l17
            local.get $l3
            local.set $l18
            local.get $l17
            local.get $l18
            i32.add
            local.set $l18
            local.get $l13
            i64.const -4096
            i64.and
            local.set $l16
            local.get $l2
            local.set $l20
            local.get $l16
            local.get $l20
            i64.ne
            if $I12
              local.get $l14
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l17
              i64.load offset=2424832 align=1
              local.set $l20
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l21
              local.get $l16
              local.get $l21
              i64.xor
              local.set $l21
              local.get $l17
              i32.load offset=2424840 align=1
              local.set $l17
              local.get $l20
              local.get $l21
              i64.ne
              local.set $l19
              local.get $l14
              local.get $l17
              i32.add
              local.set $l17
              local.get $l19
              br_if $B11
              local.get $l17
              local.set $l18
            end
            local.get $l15
            i32.load offset=2162700 align=1
            local.set $l17
            local.get $l18
            local.get $l17
            i32.ne
            br_if $B11
            local.get $l15
            i32.load offset=2162696 align=1
            local.tee $l15
            i32.load align=1
            local.set $l17
            local.get $l16
            local.set $l2
            local.get $l17
            i32.const 30
            i32.eq
            if $I13
              local.get $l15
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l15
            local.set $l6
            local.get $l17
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rcx align=1
          local.get $l11
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rsi align=1
          local.get $l12
          local.set $l16
          i32.const 0
          local.get $l16
          i64.store offset=rdi align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l17
          local.get $l1
          local.set $l15
          local.get $l17
          local.get $l15
          i32.sub
          local.set $l15
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l16
          local.get $l15
          i64.extend_i32_s
          local.set $l21
          local.get $l16
          local.get $l21
          i64.add
          local.set $l21
          i32.const 0
          local.get $l21
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l15
          i32.const 0
          local.get $l15
          i32.store offset=budget align=1
          local.get $l2
          local.set $l21
          i32.const 0
          local.get $l21
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l13
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l13
    i32.const 0
    local.get $l13
    i64.store offset=rcx align=1
    local.get $l11
    local.set $l13
    i32.const 0
    local.get $l13
    i64.store offset=rsi align=1
    local.get $l12
    local.set $l13
    i32.const 0
    local.get $l13
    i64.store offset=rdi align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l15
    local.get $l1
    local.set $l17
    local.get $l15
    local.get $l17
    i32.sub
    local.set $l17
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l13
    local.get $l17
    i64.extend_i32_s
    local.set $l21
    local.get $l13
    local.get $l21
    i64.add
    local.set $l21
    i32.const 0
    local.get $l21
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l17
    i32.const 0
    local.get $l17
    i32.store offset=budget align=1
    local.get $l2
    local.set $l21
    i32.const 0
    local.get $l21
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l17
    local.get $l7
    local.set $l15
    local.get $l17
    local.get $l15
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: cpuid; mov ebx, eax
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i32) (local $l14 i32) (local $l15 i64) (local $l16 i64) (local $l17 i32) (local $l18 i32) (local $l19 i64) (local $l20 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rbx align=1
    local.set $l11
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 2
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            i32.const 16777216
            local.set $l6
            i32.const 20
            local.set $l7
            br $B0
            local.get $l10
            i32.wrap_i64
            i64.extend_i32_u
            local.set $l11
            i32.const 16777280
            local.set $l6
            br $B1
          end
          block $B6
            local.get $l8
            local.tee $l12
            i32.wrap_i64
            local.tee $l13
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l14
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l15
            local.get $l14
            i64.load offset=2162688 align=1
            local.set $l16
            local.get $l12
            local.get $l15
            i64.xor
            local.set $l15
            local.get $l16
            local.get $l15
            i64.ne
            br_if $B6
            local.get $l13
            i32.const 4095
            i32.and
            local.set $l17
            local.get $l3
            local.set $l18
            local.get $l17
            local.get $l18
            i32.add
            local.set $l18
            local.get $l12
            i64.const -4096
            i64.and
            local.set $l15
            local.get $l2
            local.set $l16
            local.get $l15
            local.get $l16
            i64.ne
            if $I7
              local.get $l13
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l17
              i64.load offset=2424832 align=1
              local.set $l16
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l19
              local.get $l15
              local.get $l19
              i64.xor
              local.set $l19
              local.get $l17
              i32.load offset=2424840 align=1
              local.set $l17
              local.get $l16
              local.get $l19
              i64.ne
              local.set $l20
              local.get $l13
              local.get $l17
              i32.add
              local.set $l17
              local.get $l20
              br_if $B6
              local.get $l17
              local.set $l18
            end
            local.get $l14
            i32.load offset=2162700 align=1
            local.set $l17
            local.get $l18
            local.get $l17
            i32.ne
            br_if $B6
            local.get $l14
            i32.load offset=2162696 align=1
            local.tee $l14
            i32.load align=1
            local.set $l17
            local.get $l15
            local.set $l2
            local.get $l17
            i32.const 30
            i32.eq
            if $I8
              local.get $l14
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l14
            local.set $l6
            local.get $l17
            local.set $l7
            br $B0
          end
          local.get $l11
          local.set $l15
          i32.const 0
          local.get $l15
          i64.store offset=rbx align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l17
          local.get $l1
          local.set $l14
          local.get $l17
          local.get $l14
          i32.sub
          local.set $l14
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l15
          local.get $l14
          i64.extend_i32_s
          local.set $l19
          local.get $l15
          local.get $l19
          i64.add
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l14
          i32.const 0
          local.get $l14
          i32.store offset=budget align=1
          local.get $l2
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l12
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l11
    local.set $l12
    i32.const 0
    local.get $l12
    i64.store offset=rbx align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l14
    local.get $l1
    local.set $l17
    local.get $l14
    local.get $l17
    i32.sub
    local.set $l17
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l12
    local.get $l17
    i64.extend_i32_s
    local.set $l19
    local.get $l12
    local.get $l19
    i64.add
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l17
    i32.const 0
    local.get $l17
    i32.store offset=budget align=1
    local.get $l2
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l17
    local.get $l7
    local.set $l14
    local.get $l17
    local.get $l14
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: paddd xmm0, xmm1; movd eax, xmm0
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 v128) (local $l12 i64) (local $l13 i32) (local $l14 i32) (local $l15 i64) (local $l16 i64) (local $l17 i32) (local $l18 i32) (local $l19 i64) (local $l20 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 2
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            i32.const 0
            v128.load offset=5712 align=1
            local.set $l11
            i32.const 0
            v128.load offset=5696 align=1
            local.get $l11
            i32x4.add
            local.set $l11
            i32.const 0
            local.get $l11
            v128.store offset=5696 align=1
            i32.const 0
            i32.load offset=5696 align=1
            i64.extend_i32_u
            local.set $l10
            i32.const 16777280
            local.set $l6
            br $B1
          end
          block $B6
            local.get $l8
            local.tee $l12
            i32.wrap_i64
            local.tee $l13
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l14
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l15
            local.get $l14
            i64.load offset=2162688 align=1
            local.set $l16
            local.get $l12
            local.get $l15
            i64.xor
            local.set $l15
            local.get $l16
            local.get $l15
            i64.ne
            br_if $B6
            local.get $l13
            i32.const 4095
            i32.and
            local.set $l17
            local.get $l3
            local.set $l18
            local.get $l17
            local.get $l18
            i32.add
            local.set $l18
            local.get $l12
            i64.const -4096
            i64.and
            local.set $l15
            local.get $l2
            local.set $l16
            local.get $l15
            local.get $l16
            i64.ne
            if $I7
              local.get $l13
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l17
              i64.load offset=2424832 align=1
              local.set $l16
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l19
              local.get $l15
              local.get $l19
              i64.xor
              local.set $l19
              local.get $l17
              i32.load offset=2424840 align=1
              local.set $l17
              local.get $l16
              local.get $l19
              i64.ne
              local.set $l20
              local.get $l13
              local.get $l17
              i32.add
              local.set $l17
              local.get $l20
              br_if $B6
              local.get $l17
              local.set $l18
            end
            local.get $l14
            i32.load offset=2162700 align=1
            local.set $l17
            local.get $l18
            local.get $l17
            i32.ne
            br_if $B6
            local.get $l14
            i32.load offset=2162696 align=1
            local.tee $l14
            i32.load align=1
            local.set $l17
            local.get $l15
            local.set $l2
            local.get $l17
            i32.const 30
            i32.eq
            if $I8
              local.get $l14
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l14
            local.set $l6
            local.get $l17
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l15
          i32.const 0
          local.get $l15
          i64.store offset=rax align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l17
          local.get $l1
          local.set $l14
          local.get $l17
          local.get $l14
          i32.sub
          local.set $l14
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l15
          local.get $l14
          i64.extend_i32_s
          local.set $l19
          local.get $l15
          local.get $l19
          i64.add
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l14
          i32.const 0
          local.get $l14
          i32.store offset=budget align=1
          local.get $l2
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l12
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l12
    i32.const 0
    local.get $l12
    i64.store offset=rax align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l14
    local.get $l1
    local.set $l17
    local.get $l14
    local.get $l17
    i32.sub
    local.set $l17
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l12
    local.get $l17
    i64.extend_i32_s
    local.set $l19
    local.get $l12
    local.get $l19
    i64.add
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l17
    i32.const 0
    local.get $l17
    i32.store offset=budget align=1
    local.get $l2
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l17
    local.get $l7
    local.set $l14
    local.get $l17
    local.get $l14
    return_call_indirect (type $t0)
    unreachable)

;; 64 bit: mov eax, fs:[0]; jmp rax
  (func $f0 (type $t0) (param $p0 i32) (result i32)
    (local $l1 i32) (local $l2 i64) (local $l3 i32) (local $l4 i32) (local $l5 i32) (local $l6 i32) (local $l7 i32) (local $l8 i64) (local $l9 i32) (local $l10 i64) (local $l11 i64) (local $l12 i64) (local $l13 i32) (local $l14 i32) (local $l15 i64) (local $l16 i64) (local $l17 i32) (local $l18 i32) (local $l19 i64) (local $l20 i32)
    local.get $p0
    i32.load8_u offset=25
    local.set $l9
    i32.const 0
    i64.load offset=rax align=1
    local.set $l10
    i32.const 0
    i64.load offset=rsp align=1
    local.set $l11
    i32.const 0
    i32.load offset=budget align=1
    local.set $l1
    i32.const 0
    i64.load offset=codeBias align=1
    local.set $l2
    i32.const 0
    i32.load offset=tlbBase align=1
    local.set $l4
    block $B0
      block $B1
        loop $L2
          block $B3
            block $B4
              local.get $l9
              br_table $B4 $B4
            end
            i32.const 134217728
            local.set $l3
            local.get $l1
            i32.const 2
            i32.lt_s
            if $I5
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            i32.const 0
            i64.load offset=fs align=1
            local.set $l12
            i64.const 0
            local.get $l12
            i64.add
            local.tee $l12
            i32.wrap_i64
            i32.const 7
            i32.shr_u
            i32.const 524256
            i32.and
            local.get $l4
            i32.add
            local.set $l13
            local.get $l12
            i64.const 3
            i64.add
            i64.const -4096
            i64.and
            local.get $l13
            i64.load align=1
            i64.ne
            if $I6
              i32.const 16777216
              local.set $l6
              i32.const 20
              local.set $l7
              br $B0
            end
            local.get $l13
            i32.load offset=24 align=1
            local.set $l13
            local.get $l12
            i32.wrap_i64
            local.get $l13
            i32.add
            i32.load align=1
            i64.extend_i32_u
            local.tee $l10
            local.tee $l12
            i64.const 47
            i64.shr_s
            i64.const 1
            i64.add
            i64.const 1
            i64.gt_u
            if $I7
              i32.const 16777248
              local.set $l6
              br $B1
            end
            local.get $l1
            i32.const 2
            i32.sub
            local.set $l1
            local.get $l12
            local.set $l8
            br $B3
          end
          block $B8
            local.get $l8
            local.tee $l12
            i32.wrap_i64
            local.tee $l13
            i32.const -1640531535
            i32.mul
            i32.const 18
            i32.shr_u
            i32.const 16
            i32.mul
            local.set $l14
            i32.const 0
            i64.load offset=modeKey align=1
            local.set $l15
            local.get $l14
            i64.load offset=2162688 align=1
            local.set $l16
            local.get $l12
            local.get $l15
            i64.xor
            local.set $l15
            local.get $l16
            local.get $l15
            i64.ne
            br_if $B8
            local.get $l13
            i32.const 4095
            i32.and
            local.set $l17
            local.get $l3
            local.set $l18
            local.get $l17
            local.get $l18
            i32.add
            local.set $l18
            local.get $l12
            i64.const -4096
            i64.and
            local.set $l15
            local.get $l2
            local.set $l16
            local.get $l15
            local.get $l16
            i64.ne
            if $I9
              local.get $l13
              i32.const 12
              i32.shr_u
              i32.const 4095
              i32.and
              i32.const 16
              i32.mul
              local.tee $l17
              i64.load offset=2424832 align=1
              local.set $l16
              i32.const 0
              i64.load offset=modeKey align=1
              local.set $l19
              local.get $l15
              local.get $l19
              i64.xor
              local.set $l19
              local.get $l17
              i32.load offset=2424840 align=1
              local.set $l17
              local.get $l16
              local.get $l19
              i64.ne
              local.set $l20
              local.get $l13
              local.get $l17
              i32.add
              local.set $l17
              local.get $l20
              br_if $B8
              local.get $l17
              local.set $l18
            end
            local.get $l14
            i32.load offset=2162700 align=1
            local.set $l17
            local.get $l18
            local.get $l17
            i32.ne
            br_if $B8
            local.get $l14
            i32.load offset=2162696 align=1
            local.tee $l14
            i32.load align=1
            local.set $l17
            local.get $l15
            local.set $l2
            local.get $l17
            i32.const 30
            i32.eq
            if $I10
              local.get $l14
              i32.load8_u offset=25
              local.set $l9
              br $L2
            end
            local.get $l14
            local.set $l6
            local.get $l17
            local.set $l7
            br $B0
          end
          local.get $l10
          local.set $l15
          i32.const 0
          local.get $l15
          i64.store offset=rax align=1
          i32.const 0
          i32.load offset=budget align=1
          local.set $l17
          local.get $l1
          local.set $l14
          local.get $l17
          local.get $l14
          i32.sub
          local.set $l14
          i32.const 0
          i64.load offset=32768 align=1
          local.set $l15
          local.get $l14
          i64.extend_i32_s
          local.set $l19
          local.get $l15
          local.get $l19
          i64.add
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=32768 align=1
          local.get $l1
          local.set $l14
          i32.const 0
          local.get $l14
          i32.store offset=budget align=1
          local.get $l2
          local.set $l19
          i32.const 0
          local.get $l19
          i64.store offset=codeBias align=1
          i32.const 0
          local.get $l12
          i64.store offset=rip align=1
          return_call $e.jump
        end
      end
      local.get $l6
      i32.load align=1
      local.set $l7
    end
    local.get $l10
    local.set $l12
    i32.const 0
    local.get $l12
    i64.store offset=rax align=1
    i32.const 0
    i32.load offset=budget align=1
    local.set $l14
    local.get $l1
    local.set $l17
    local.get $l14
    local.get $l17
    i32.sub
    local.set $l17
    i32.const 0
    i64.load offset=32768 align=1
    local.set $l12
    local.get $l17
    i64.extend_i32_s
    local.set $l19
    local.get $l12
    local.get $l19
    i64.add
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=32768 align=1
    local.get $l1
    local.set $l17
    i32.const 0
    local.get $l17
    i32.store offset=budget align=1
    local.get $l2
    local.set $l19
    i32.const 0
    local.get $l19
    i64.store offset=codeBias align=1
    local.get $l6
    local.set $l17
    local.get $l7
    local.set $l14
    local.get $l17
    local.get $l14
    return_call_indirect (type $t0)
    unreachable)

